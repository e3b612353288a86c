"""keras-tuner's oracles by ask and tell: the same scores lead to the same proposals."""

import math
from pathlib import Path

import pytest

from tests.tuning.made_up import made_up
from tf_lottery.config_tune import ORACLES
from tf_lottery.tuning.oracle import Asker
from tf_lottery.tuning.space import drawn_from, settings_from

RANGES = {
    "pruning.rate": {"min": 0.05, "max": 0.85},
    "search.steps": {"min": "10it", "max": "100it", "sampling": "log"},
}

RATES = {"pruning.rate": {"min": 0.05, "max": 0.85}}


def loss(values):
    """Least at a rate of 0.3, and the fewer the steps are."""
    steps = int(values.get("search.steps", "10it")[:-2])
    return 10 * (values["pruning.rate"] - 0.3) ** 2 + 0.2 * math.log10(steps)


def asked(count, at_once=1, score=loss, **tune):
    """Ask and tell as a tuning does; return the values and shares that were proposed, with their scores."""
    tune = made_up(**{"ranges": RANGES} | tune).tune
    asker, found = Asker(tune), []
    try:
        while len(found) < count:
            batch = [proposal for _ in range(at_once) if (proposal := asker.ask()) is not None]
            if not batch:
                break
            for name, drawn, share in batch:
                values = settings_from(tune.ranges, drawn)
                found.append((values, share, score(values)))
                asker.tell(name, found[-1][2])
    finally:
        asker.close()
    return found


def values_of(found):
    return [values for values, _, _ in found]


@pytest.mark.parametrize("oracle", ORACLES)
def test_the_same_scores_lead_to_the_same_proposals(oracle):
    first = asked(9, at_once=3, oracle=oracle, ranges=RATES)
    assert asked(9, at_once=3, oracle=oracle, ranges=RATES) == first


@pytest.mark.parametrize("oracle", ["random", "bayesian", "hyperband"])
def test_the_seed_decides_what_is_drawn(oracle):
    assert values_of(asked(2, oracle=oracle, seed=0)) != values_of(asked(2, oracle=oracle, seed=1))


@pytest.mark.parametrize("oracle", ORACLES)
def test_proposals_are_settings_within_their_ranges(oracle):
    for values in values_of(asked(9, oracle=oracle)):
        assert 0.05 <= values["pruning.rate"] <= 0.85
        assert 10 <= int(values["search.steps"].removesuffix("it")) <= 100


def test_a_grid_has_every_combination_once_and_then_nothing():
    ranges = {"pruning.rate": {"min": 0.1, "max": 0.3, "step": 0.1}, "training.optimizer": ["adam", "sgd"]}
    ranges["data.standardize"] = [True, False]
    found = asked(50, at_once=5, oracle="grid", ranges=ranges, score=lambda values: None)
    combinations = {tuple(values.values()) for values in values_of(found)}
    assert len(found) == len(combinations) == 3 * 2 * 2


def test_random_draws_end_where_a_list_is_exhausted():
    ranges = {"training.optimizer": ["adam", "sgd", "rmsprop"]}
    found = asked(50, oracle="random", ranges=ranges, score=lambda values: 1.0)
    assert sorted(values["training.optimizer"] for values in values_of(found)) == ["adam", "rmsprop", "sgd"]


def test_a_gaussian_process_comes_near_the_best():
    found = asked(12, oracle="bayesian", ranges=RATES)
    assert min(score for _, _, score in found) < 0.21
    assert sum(abs(values["pruning.rate"] - 0.3) < 0.2 for values in values_of(found)[3:]) >= 5


def test_hyperband_gives_more_of_the_resource_to_the_best():
    found = asked(13, oracle="hyperband")
    assert [round(9 * share) for _, share, _ in found] == [1] * 9 + [3] * 3 + [9]
    scores = sorted(score for _, _, score in found[:9])
    assert [score for _, _, score in found[9:12]] == scores[:3]
    assert found[12][2] == scores[0]


def test_hyperband_goes_on_with_wider_brackets():
    found = asked(23, oracle="hyperband")
    assert [round(9 * share) for _, share, _ in found[13:]] == [3] * 5 + [9] * 2 + [9] * 3


@pytest.mark.parametrize("oracle", ORACLES)
def test_candidates_that_failed_sink_nothing(oracle):
    failing = asked(26, at_once=2, oracle=oracle, score=lambda values: None)
    assert len(failing) == 26
    some = asked(
        16,
        at_once=2,
        oracle=oracle,
        score=lambda values: loss(values) if values["pruning.rate"] < 0.5 else None,
    )
    assert len(some) == 16


def test_a_gaussian_process_does_not_propose_what_failed_again_and_again():
    def score(values):
        return 8 - 2 * values["pruning.rate"] if values["pruning.rate"] <= 0.5 else None

    ranges = {"pruning.rate": {"min": 0.0001, "max": 0.9999}}
    rates = [values["pruning.rate"] for values in values_of(asked(12, score=score, ranges=ranges))]
    assert len(set(rates)) == 12
    assert sum(rate <= 0.5 for rate in rates) >= 4


@pytest.mark.parametrize("oracle", ["random", "bayesian", "hyperband"])
def test_another_machines_proposals_take_the_place_of_its_own(oracle):
    ranges = {
        **RANGES,
        "data.standardize": [True, False],
        "data.share": {"min": 0.2, "max": 1.0, "step": 0.2},
    }
    tune = made_up(ranges=ranges, oracle=oracle).tune
    other = {"pruning.rate": 0.3, "search.steps": "10it", "data.standardize": False, "data.share": 0.6}
    asker = Asker(tune)
    for count in range(14 if oracle == "hyperband" else 3 * len(ranges) + 1):
        name, drawn, _ = asker.ask()
        assert settings_from(tune.ranges, drawn).keys() == other.keys()
        asker.correct(name, drawn_from(tune.ranges, other | {"pruning.rate": 0.3 + count / 100}))
        asker.tell(name, float(count))
    asker.close()


def test_its_files_are_gone_in_the_end():
    asker = Asker(made_up(oracle="random").tune)
    asker.ask()
    folder = Path(asker._folder.name)
    assert list(folder.rglob("*.json"))
    asker.close()
    assert not folder.exists()


def test_it_says_nothing(capfd):
    asked(4, oracle="bayesian", ranges=RATES)
    assert capfd.readouterr() == ("", "")
