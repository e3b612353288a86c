"""What a candidate's search came to: exact arithmetic on records whose values are given."""

import base64
import html
import math
from pathlib import Path
from types import SimpleNamespace

import keras_tuner
import pytest

from tests.search.models import FIT, TRAIN, search
from tf_lottery.errors import LotteryError
from tf_lottery.tuning.search_result import SearchTune, TriedSearch, TunedSearches

STEPS = 8


@pytest.fixture(scope="module")
def searched():
    """A search of two rounds: densities 1, 1/2, 1/4."""
    return search().fit(*TRAIN, **FIT)


@pytest.fixture
def tuned(searched):
    """A function from settings of a tuning, and the values of the rounds of searches, to what is found."""

    def found(tune, *searches, ended=None, **changes):
        result = TunedSearches(SearchTune(**tune))
        for number, values in enumerate(searches):
            rounds = [
                record.model_copy(update={"value": value, **changes})
                for record, value in zip(searched.rounds, values, strict=False)
            ]
            densities = [record.density for record in rounds]
            came = SimpleNamespace(records=rounds, rounds=rounds, densities=densities, ended=ended)
            tried = TriedSearch(number, keras_tuner.HyperParameters(), Path())
            result.add(result.came_to(tried, came))
        return result

    return found


@pytest.mark.parametrize(
    ("values", "mode", "tolerance", "round", "share"),
    [
        ((0.9, 0.87, 0.80), "max", 0.05, 1, 2 / 7),  # 0.85 is needed
        ((0.9, 0.80, 0.95), "max", 0.05, 0, 1 / 2),  # what comes after a round that fails doesn't count
        ((0.9, 0.90, 0.88), "max", 0.05, 2, 0),
        ((2.0, 2.5, 4.5), "min", 1.5, 1, 1 / 2),  # 3.5 is needed
        ((2.0, 4.0, 3.0), "min", 1.0, 0, 1 / 2),
    ],
)
def test_tickets_match_down_to_where_the_value_crosses_what_is_needed(
    tuned, values, mode, tolerance, round, share
):
    (tried,) = tuned({"tolerance": tolerance}, values, mode=mode).tried
    assert (tried.outcome.ticket.round if tried.outcome.ticket else 0) == round
    assert tried.outcome.value == pytest.approx(0.5 ** (round + share))
    cost = STEPS * (max(round, 1) + 1)
    assert tried.outcome.cost == cost
    assert tried.score == pytest.approx((round + share) * math.log(0.5) + 0.5 * math.log(cost))


def test_all_are_held_to_the_first_ones_dense_network(tuned):
    poor = (0.5, 0.6, 0.7)
    alone, (first, second) = (
        tuned({"tolerance": 0.05}, poor),
        tuned({"tolerance": 0.05}, (0.9,) * 3, poor).tried,
    )
    assert alone.best.outcome.ticket.round == 2
    assert first.outcome.ticket.round == 2
    assert second.outcome.ticket is None
    assert second.outcome.value == 1


def test_the_best_is_the_one_with_the_least_score(tuned):
    searches = (0.9, 0.9, 0.5), (0.9, 0.9, 0.9), (0.9, 0.1, 0.1)
    found = tuned({"tolerance": 0.05, "cost": None}, *searches)
    assert [each.number for each in found.ranked] == [1, 0]
    assert [(loss, cost, each.number) for loss, cost, each, _ in found.front.entries] == [(0.25, 0, 1)]
    dear = tuned({"tolerance": 0.05, "cost_weight": 9.0}, *searches)
    assert [each.number for each in dear.ranked] == [0, 1]  # a round less is cheaper
    assert {(each.number, point.round) for _, _, each, point in dear.front.entries} == {(0, 1), (1, 2)}


def test_accuracy_is_interpolated_in_log_density(tuned):
    (tried,) = tuned({"objective": {"accuracy_at": 0.3}, "cost": None}, (0.9, 0.8, 0.6)).tried
    value = 0.8 - 0.2 * math.log(0.3 / 0.5) / math.log(0.5)
    assert tried.outcome.value == pytest.approx(value)
    assert tried.outcome.ticket.density == 0.25
    assert tried.score == pytest.approx(math.log(1 - value))


def test_what_cannot_be_compared_is_a_failure_with_its_reason(tuned):
    at = {"objective": {"accuracy_at": 0.1}}
    (tried,) = tuned(at, (0.9, 0.8, 0.7), ended="the training diverged").tried
    assert tried.failure == "its search ended at a density of 0.25, above 0.1: the training diverged"
    (tried,) = tuned({"tolerance": 0.1}, (0.9,)).tried
    assert tried.failure == "no pruned round was trained"
    found = tuned({"tolerance": 0.1, "cost": "flops"}, (0.9, 0.9, 0.9))  # around fit they aren't known
    assert found.tried[0].failure == "what its tickets cost in flops isn't known"
    assert found.summary().splitlines() == [
        "Candidate 0 failed: what its tickets cost in flops isn't known.",
        "No candidate has a ticket. Allow for more tolerance, or train longer.",
    ]


def test_all_candidates_monitor_the_same(tuned, searched):
    found = tuned({"tolerance": 0.1}, (0.9, 0.9, 0.9))
    rounds = [record.model_copy(update={"monitor": "val_loss", "mode": "min"}) for record in searched.rounds]
    other = SimpleNamespace(records=rounds, rounds=rounds, ended=None)
    tried = found.came_to(TriedSearch(1, keras_tuner.HyperParameters(), Path()), other)
    assert tried.failure == "it monitors val_loss, and other candidates val_accuracy"


def test_what_has_no_distance_from_the_best_is_refused(tuned):
    with pytest.raises(
        LotteryError, match="quantity of at most 1, or a loss from 0.*Received: val_accuracy 30"
    ):
        tuned({"objective": {"accuracy_at": 0.25}}, (40.0, 30.0, 30.0))


@pytest.mark.parametrize(
    "tune", [{"tolerance": 0.05}, {"tolerance": 0.05, "cost": None}, {"objective": {"accuracy_at": 0.3}}]
)
def test_a_notebook_shows_the_summary_and_the_picture_without_a_script(tuned, tune):
    found = tuned(tune, (0.9, 0.9, 0.8), (0.9, 0.8, 0.7))
    assert found.best is not None
    page = found._repr_html_()
    table, *said = found.summary().splitlines()
    for name in table.replace("matches to", "matches_to").replace("at 0.3", "at_0.3").split():
        assert f">{name.replace('_', ' ') if name[:3] in ('mat', 'at_') else name}</th>" in page
    assert f"<p>{html.escape(said[-1])}</p>" in page
    assert page.count("<tr>") == 1 + len(found.tried)
    assert ">*</td>" in page
    assert base64.b64decode(page.partition("data:image/png;base64,")[2].partition('"')[0])[:4] == b"\x89PNG"
    assert "<script" not in page


def test_without_a_ticket_a_notebook_shows_words_only():
    assert "<img" not in TunedSearches(SearchTune(tolerance=0.05))._repr_html_()
