"""Which candidates are finalists, and which one is recommended."""

from pathlib import Path

import pytest

from tests.tuning.made_up import candidate_of, made_up, point
from tf_lottery.tuning.answer import answer
from tf_lottery.tuning.outcome import Front, Outcome
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tried, Tuned, finalists, recommended

TUNING = made_up()


def tried(*given, tuning=TUNING):
    """Candidates whose tickets have a density (or accuracy) and a cost each; None is one that failed.

    The first is the study's own setting. A third number is a share of the resource.
    """
    found, is_density = [], tuning.tune.at_density is None
    for number, each in enumerate(given):
        value, cost, share = (*each, 1.0)[:3] if each else (None, None, 1.0)
        values = {"pruning__rate": 0.25} if number else {}
        density = value if is_density else 0.1
        ticket = None if value is None or cost is None else point(1, density, cost=cost)
        interpolated = 0.01 if is_density else value  # tells the oracle where tickets cease to match
        outcome = each and Outcome(interpolated, ticket, point(0, 1.0), (ticket,) if ticket else (), cost)
        candidate = candidate_of(tuning, number, share, **values)
        found.append(Tried(candidate, outcome or None, "" if each else "it failed", 100))
    return found


def numbers(*given, **tune):
    tuning = made_up(**tune)
    return [each.candidate.number for each in finalists(tried(*given, tuning=tuning), tuning.tune)]


@pytest.mark.parametrize(
    ("given", "among"),
    [
        ([(0.5, 100)], []),
        ([(0.5, 100), (0.4, 90), (0.1, 95)], [1, 2]),  # from the cheapest on
        ([(0.5, 100), (0.61, 10)], []),
        ([(0.5, 100), (0.59, 10)], [1]),  # as sparse within the margin of a fifth
        ([(0.5, 100), (0.1, 100)], []),
        ([(0.5, 100), (0.4, 90), (0.3, 80)], [2]),  # no cheaper one is better
        ([(0.5, 100), (0.4, 90), (0.3, 90)], [2]),
        ([(0.5, 100), (0.4, 50, 1 / 3), (0.4, 90)], [2]),
        ([(0.5, 100), None, (0.4, 90)], [2]),
        ([(0.5, 100), (0.4, 10), (0.3, 20), (0.2, 30), (0.1, 40), (0.05, 50)], [1, 3, 5]),
        ([None, (0.5, 100), (0.4, 900)], [2]),  # the study's own setting failed: the sparsest
        ([(0.9, None), (0.5, 100), (0.4, 900)], [2]),
        ([None, (0.5, None)], []),
        ([None], []),
        ([], []),
    ],
)
def test_finalists_are_cheaper_than_the_studys_own_setting_and_as_good(given, among):
    assert numbers(*given) == among


def test_as_many_finalists_as_are_asked_for_from_the_cheapest_to_the_dearest():
    given = [(0.5, 100), (0.4, 10), (0.3, 20), (0.2, 30), (0.1, 40)]
    assert numbers(*given, finalists=1) == [1]
    assert numbers(*given, finalists=2) == [1, 4]
    assert numbers(*given, finalists=9) == [1, 2, 3, 4]


def test_where_cost_doesnt_count_the_sparsest_is_the_finalist():
    assert numbers((0.5, 100), (0.4, 90), (0.1, 950), cost=None) == [2]
    assert numbers((0.5, 100), (0.6, 90), cost=None) == []


def test_an_accuracy_is_as_good_within_the_tolerance():
    options = {"objective": {"accuracy_at": 0.1}, "tolerance": 0.01}
    assert numbers((0.9, 100), (0.895, 90), (0.88, 10), **options) == [1]
    assert numbers((0.9, 100), (0.95, 90), (0.99, 900), **options, cost=None) == [2]


def best(given, confirmed, **tune):
    """The number of the recommended candidate; `confirmed` are finalists' values on fresh seeds.

    The study's own setting has 0.5 there.
    """
    tuning = made_up(**tune)
    tuned = Tuned(tuning, TuningPaths(Path("tuning")), tried(*given, tuning=tuning), Front(tuning.tune))
    for number, values in confirmed.items():
        own = tried((0.5, 100), tuning=tuning)[0]
        pairs = [tried((0.5, 100), value and (value, 90), tuning=tuning)[1] for value in values]
        tuned.confirmed[number] = [(own, other) for other in pairs]
    found = recommended(tuned)
    return found and found.candidate.number


THREE = [(0.5, 100), (0.4, 80), (0.3, 85), (0.2, 90)]


@pytest.mark.parametrize(
    ("confirmed", "number"),
    [
        ({1: [0.5, 0.6, 0.9], 2: [0.1, 0.1, 0.1], 3: [0.1, 0.1, 0.1]}, 1),  # on two of three seeds
        ({1: [0.7, 0.7, 0.1], 2: [0.7, 0.1, 0.1], 3: [0.1, 0.1, 0.1]}, 2),
        (
            {1: [0.7, 0.7, 0.7], 2: [0.7, 0.7, 0.7], 3: [0.7, 0.7, 0.1]},
            3,
        ),  # none on most: on the most of them
        ({1: [0.7, 0.7, 0.7], 2: [0.7, 0.7, 0.7]}, 1),
        ({1: [None, 0.1, 0.1], 2: [0.1, 0.1, 0.1]}, 1),  # one failed
        ({1: [None, None, 0.1], 2: [0.1, 0.1, 0.1]}, 2),
    ],
)
def test_the_cheapest_finalist_that_is_as_good_on_most_fresh_seeds_is_recommended(confirmed, number):
    assert best(THREE, confirmed) == number


def test_without_fresh_seeds_it_is_the_cheapest_finalist():
    assert best(THREE, {}, confirm=0) == 1


def test_without_a_finalist_it_is_the_studys_own_setting_if_that_has_a_ticket():
    assert best([(0.5, 100), (0.9, 50)], {}) == 0
    assert best([(0.5, None), None], {}) is None
    assert best([None], {}) is None
    assert best([], {}) is None


def test_nothing_is_said_of_candidates_that_were_not_trained_in_full(tmp_path):
    partial = tried((0.5, 100), (0.4, 50, 1 / 3), None)
    tuned = Tuned(TUNING, TuningPaths(tmp_path), partial, Front(TUNING.tune), best=partial[0])
    assert "No other candidate was trained in full" in answer(tuned)[-1]
    tuned.tried += tried((0.5, 100), (0.9, 50))[1:]
    assert "No other candidate is as sparse" in answer(tuned)[-1]


def test_what_is_saved_is_the_share_of_the_steps_that_were_trained_once_for_several(tmp_path):
    tuned = Tuned(TUNING, TuningPaths(tmp_path), tried((0.5, 100), (0.4, 90)), Front(TUNING.tune))
    tuned.distinct = 150
    assert tuned.saved == 0.25
    assert Tuned(TUNING, TuningPaths(tmp_path), [], Front(TUNING.tune)).saved == 0
