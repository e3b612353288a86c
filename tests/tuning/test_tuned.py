"""Which candidate is recommended."""

import pytest

from tests.tuning.made_up import candidate_of, made_up, point
from tf_lottery.tuning.outcome import Front, Outcome
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tried, Tuned, recommended

TUNING = made_up()
ACCURATE = made_up(objective={"accuracy_at": 0.1})


def tried(*given, tuning=TUNING):
    """Candidates of a value and a cost each, with a share where three are given; None is one that failed.

    The first is the study's own setting.
    """
    found = []
    for number, each in enumerate(given):
        value, cost, share = (*each, 1.0)[:3] if each else (None, None, 1.0)
        values = {"pruning__rate": 0.25} if number else {}
        ticket = None if value is None or cost is None else point(1, 0.5, cost=cost)
        outcome = each and Outcome(value, ticket, point(0, 1.0), (ticket,) if ticket else (), cost)
        candidate = candidate_of(tuning, number, share, **values)
        found.append(Tried(candidate, outcome or None, "" if each else "it failed", 100))
    return found


def number(*given, tuning=TUNING):
    best = recommended(tried(*given, tuning=tuning), tuning)
    return best and best.candidate.number


@pytest.mark.parametrize(
    ("given", "best"),
    [
        ([(0.5, 100)], 0),
        ([(0.5, 100), (0.4, 90), (0.1, 95)], 1),  # the cheapest of those that are as sparse
        ([(0.5, 100), (0.6, 10)], 0),
        ([(0.5, 100), (0.1, 300)], 0),
        ([(0.5, 100), (0.5, 100)], 0),
        ([(0.5, 100), (0.4, 90), (0.3, 90)], 2),
        ([(0.5, 100), (0.4, 50, 1 / 3), (0.4, 90)], 2),
        ([(0.5, 100), None, (0.4, 90)], 2),
        ([None, (0.5, 100), (0.4, 900)], 2),  # the study's own setting failed: the sparsest
        ([(0.9, None), (0.5, 100), (0.4, 900)], 2),
        ([None, (0.5, None)], None),
        ([None], None),
        ([], None),
    ],
)
def test_the_cheapest_candidate_that_is_as_good_as_the_studys_own_setting(given, best):
    assert number(*given) == best


def test_where_cost_doesnt_count_the_sparsest_is():
    assert number((0.5, 100), (0.4, 90), (0.1, 950), tuning=made_up(cost=None)) == 2


def test_a_higher_accuracy_is_as_good():
    assert number((0.9, 100), (0.95, 90), (0.89, 10), tuning=ACCURATE) == 1
    assert (
        number((0.9, 100), (0.95, 90), (0.99, 900), tuning=made_up(objective={"accuracy_at": 0.1}, cost=None))
        == 2
    )


def test_what_is_saved_is_the_share_of_the_steps_that_were_trained_once_for_several(tmp_path):
    tuned = Tuned(TUNING, TuningPaths(tmp_path), tried((0.5, 100), (0.4, 90)), Front(TUNING.tune))
    tuned.distinct = 150
    assert tuned.saved == 0.25
    assert Tuned(TUNING, TuningPaths(tmp_path), [], Front(TUNING.tune)).saved == 0
