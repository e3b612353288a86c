"""The checks before a tuning trains anything: one line each, without TensorFlow."""

import pytest

from tests.tuning.made_up import candidate_of, made_up
from tf_lottery.data import sources
from tf_lottery.drivers.execution import Execution
from tf_lottery.errors import LotteryError
from tf_lottery.tuning.candidate import most_steps
from tf_lottery.tuning.check import check_budget, check_tuning, count_examples

ALONE = {"search": None, "arms": {"ticket": {}}}


def refused(study=None, execution=None, **tune):
    with pytest.raises(LotteryError) as error:
        check_tuning(made_up(study, **tune), execution or Execution())
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pruning.rate", {"min": 0.1, "max": 0.6}),
        ("search.steps", {"min": "10it", "max": "50it"}),
        ("search.data", [0.1, 0.5]),
        ("training.learning_rate", {"min": 1e-4, "max": 0.1, "sampling": "log"}),
        ("training.optimizer", ["adam", "sgd"]),
        ("pruning.scope", ["layer", "global"]),
        ("pruning.criterion", ["magnitude", "random"]),
        ("rewind.to", ["0it", "5it"]),
        ("data.standardize", [True, False]),
        ("data.split_seed", [1, 2]),
        ("model.kwargs.width", [0.5, 1.0]),
        ("model.name", ["mlp", "lenet_300_100"]),
        ("data.name", ["digits", "mnist"]),
        ("pretrain.steps", ["10it", "20it"]),
        ("pretrain.file", ["first.keras", "second.keras"]),
        ("search.early_bird.distance", [0.1, 0.2]),
        ("pruning.rate", [0.25]),
    ],
)
def test_settings_that_change_what_is_trained_can_be_tuned(name, values):
    check_tuning(made_up(ranges={name: values}), Execution())


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("pruning.rat", [0.1], "tune.ranges: unknown key 'pruning.rat': did you mean 'rate'?"),
        ("pruning.rate", [0.5, 1.5], "tune.ranges: pruning.rate: input should be less than 1. Received: 1.5"),
        ("pruning.rate", {"min": 0.5, "max": 1.0}, "tune.ranges: pruning.rate: input should be less than 1"),
        ("pruning.rate", {"min": 0, "max": 0.5}, "tune.ranges: pruning.rate: input should be greater than 0"),
        ("search.steps", {"min": "0it", "max": "9it"}, "tune.ranges: search.steps: "),
        ("search.steps", {"min": 10, "max": 90}, "tune.ranges: search.steps: "),
        (
            "pruning.criterion",
            ["magnitude", "size"],
            "tune.ranges.pruning.criterion: Expected pruning.criterion",
        ),
        ("pruning.pattern", ["single", "2:4"], "tune.ranges.pruning.pattern: Expected pruning.rounds 1"),
        ("seed", [1, 2], "tune.ranges.seed: expected a setting that can be tuned, but all candidates have"),
        ("pruning.rounds", [3, 4], "tune.ranges.pruning.rounds: expected a setting that can be tuned"),
        ("training.threads", [1, 2], "tune.ranges.training.threads: expected a setting that can be tuned"),
    ],
)
def test_a_wrong_range_is_named(name, values, said):
    assert refused(ranges={"pruning.min_density": [0.0, 0.001], name: values}).startswith(said)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("updates.fraction", [0.1, 0.5]),
        ("updates.every", {"min": "10it", "max": "50it"}),
        ("supermask.kind", ["edge_popup", "learned"]),
        ("data.pipeline", ["resident", "stream"]),
        ("pruning.examples", [10, 20, 30]),
    ],
)
def test_a_setting_without_an_effect_is_refused(name, values):
    assert refused(ranges={name: values}) == (
        f"tune.ranges.{name}: expected a setting that changes what is trained. The runs are the same with "
        "each of these values."
    )


def test_values_that_dont_go_with_the_studys_own_are_named():
    said = refused(ranges={"training.learning_rate_schedule.end": [0.0, 0.5]})
    assert said.startswith("tune.ranges: training.learning_rate_schedule: expected end with name: cosine")


def test_the_studys_own_settings_are_checked_too():
    said = refused({"pruning": {"rate": 0.5, "rounds": 3, "criterion": "size"}})
    assert said.startswith("Expected pruning.criterion as one of")


@pytest.mark.parametrize(
    ("ranges", "count"),
    [
        ({"pruning.rate": [0.1, 0.2], "pruning.scope": ["layer", "global"]}, "4"),
        ({"pruning.rate": {"min": 0.1, "max": 0.45, "step": 0.05}}, "8"),
        ({"search.steps": {"min": "10it", "max": "17it"}}, "8"),
    ],
)
def test_hyperband_needs_as_many_combinations_as_its_first_stage_has_candidates(ranges, count):
    said = refused(oracle="hyperband", ranges=ranges)
    assert "at least 9 combinations" in said
    assert f"Received: {count}. Use grid" in said


@pytest.mark.parametrize(
    "values",
    [{"min": 0.1, "max": 0.5, "step": 0.05}, {"min": 0.1, "max": 0.5}, [n / 20 for n in range(1, 10)]],
)
def test_nine_combinations_are_enough_for_hyperband(values):
    check_tuning(made_up(oracle="hyperband", ranges={"pruning.rate": values}), Execution())


def test_shards_and_many_machines_are_refused():
    assert "A tuning has no shards" in refused(execution=Execution(shard="1/2"))
    assert "training.strategy=auto" in refused({"training": {"steps": "100it", "strategy": "multi_worker"}})


def test_a_study_without_a_search_can_be_tuned_with_one_or_without():
    check_tuning(made_up(ALONE, ranges={"search.steps": ["10it", "50it"]}), Execution())
    check_tuning(made_up(ALONE, ranges={"pruning.rate": [0.1, 0.5]}), Execution())


@pytest.mark.parametrize(("replicates", "confirm"), [(1, 0), (1, 3), (3, 2)])
def test_a_budget_must_hold_the_studys_own_setting_and_the_confirmation(replicates, confirm):
    tuning = made_up({"replicates": replicates}, confirm=confirm)
    own = most_steps(candidate_of(tuning), lambda study: 1000)
    needed = own + 2 * confirm * own // replicates

    def checked(budget):
        given = made_up({"replicates": replicates}, confirm=confirm, budget=f"{budget}it")
        return check_budget(given, lambda study: 1000)

    assert checked(needed) == 2 * confirm * own // replicates
    with pytest.raises(
        LotteryError, match=rf"tune\.budget: expected at least {needed:,} steps.*{needed - 1}it"
    ):
        checked(needed - 1)


def test_a_budget_in_seconds_or_none_reserves_nothing_and_loads_no_data():
    def unknown(study):
        raise AssertionError("data was loaded")

    assert check_budget(made_up(budget="10s"), unknown) == 0
    assert check_budget(made_up(), unknown) == 0


def test_examples_are_counted_once_for_the_same_data(monkeypatch):
    loaded, load = [], sources.load
    monkeypatch.setattr(sources, "load", lambda config: loaded.append(config) or load(config))
    count = count_examples()
    study = made_up({"data": {"name": "digits", "validation": 200}}).study
    fewer = study.model_copy(update={"data": study.data.model_copy(update={"share": 0.5})})
    assert [count(each) for each in (study, study, fewer, study)] == [1200, 1200, 600, 1200]
    assert len(loaded) == 2
