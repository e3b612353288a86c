"""Candidates that fail, and tunings that can't begin, whose executor trains nothing."""

import pytest

from tests.tuning.simulated import RATES, Heard, table
from tf_lottery.errors import LotteryError
from tf_lottery.store.store import Store
from tf_lottery.tuning.paths import TuningPaths


def test_a_candidate_that_fails_is_recorded_and_the_others_go_on(simulation):
    def failing(spec):
        return "the training diverged" if spec.pruning and spec.pruning.rate == 0.75 else ""

    heard = Heard()
    tuned = simulation.run(oracle="grid", ranges=RATES, executor={"failing": failing}, observer=heard)
    (failed,) = [each for each in tuned.tried if each.failure]
    assert failed.candidate.values == {"pruning.rate": 0.75}
    assert failed.outcome is None
    assert failed.failure == "ticket replicate 0 round 1 failed: the training diverged"
    assert len(tuned.tried) == 4
    assert tuned.best is not None
    again = simulation.run(oracle="grid", ranges=RATES)
    assert table(again) == table(tuned), "it isn't trained again"
    assert simulation.executors[1].trained == []


def test_a_final_that_fails_sinks_its_candidate_alone(simulation):
    def failing(spec):
        return "no memory" if (spec.arm, spec.round) == ("final", 2) and spec.pruning.rate == 0.5 else ""

    tuned = simulation.run(oracle="grid", ranges={"pruning.rate": [0.5, 0.4]}, executor={"failing": failing})
    assert [bool(each.failure) for each in tuned.tried] == [True, True, False]
    assert tuned.tried[0].steps > 0
    assert tuned.best.candidate.values == {"pruning.rate": 0.4}


def test_values_that_dont_go_together_are_a_candidate_that_failed(simulation):
    schedule = "training.learning_rate_schedule"
    ranges = {f"{schedule}.name": ["constant", "cosine"], f"{schedule}.end": [0.0, 0.5]}
    study = {
        "training": {"steps": "100it", "evaluate_every": "20it", "learning_rate_schedule": {"name": "cosine"}}
    }
    tuned = simulation.run(study, oracle="grid", ranges=ranges)
    failed = {tuple(each.candidate.values.values()): each.failure for each in tuned.tried if each.failure}
    assert list(failed) == [("constant", 0.5)]
    assert "expected end with name: cosine only" in failed["constant", 0.5]
    assert len(tuned.tried) == 5
    number = next(each.candidate.name for each in tuned.tried if each.failure)
    assert not (simulation.directory / "candidates" / number).exists()
    assert table(simulation.run(study, oracle="grid", ranges=ranges)) == table(tuned)


@pytest.mark.parametrize("budget", [None, "100000it"])
def test_batches_larger_than_the_data_are_a_candidate_that_failed(simulation, budget):
    def refuses(study):
        if study.training.batch_size > 1200:
            raise LotteryError("Expected at least one batch of training examples.")

    ranges = {"training.batch_size": [30, 4096]}
    tuned = simulation.run(oracle="grid", ranges=ranges, budget=budget, executor={"refuses": refuses})
    assert [each.failure for each in tuned.tried] == [
        "",
        "",
        "Expected at least one batch of training examples.",
    ]
    assert tuned.tried[2].steps == 0


def test_a_study_that_fits_no_data_is_refused_and_leaves_nothing_behind(simulation):
    def refuses(study):
        raise LotteryError("Expected model.name to be one of lenet5.")

    with pytest.raises(LotteryError, match=r"^Expected model\.name to be one of lenet5\.$"):
        simulation.run(executor={"refuses": refuses})
    assert not simulation.directory.exists()


def test_data_that_cant_be_read_is_refused_and_leaves_nothing_behind(simulation, tmp_path):
    data = {"data": {"name": "npz", "path": str(tmp_path / "none.npz"), "validation": 200}}
    with pytest.raises(LotteryError, match=r"none\.npz"):
        simulation.run(data)
    assert not simulation.directory.exists()


def test_a_tuning_that_is_refused_later_keeps_what_it_has(simulation):
    simulation.run(candidates=1)
    with pytest.raises(LotteryError, match="another tuning"):
        simulation.run({"seed": 4})
    assert Store(TuningPaths(simulation.directory)).records()


def test_if_the_studys_own_setting_fails_the_others_are_compared_with_each_other(simulation):
    own = lambda spec: "diverged" if spec.pruning and spec.pruning.rate == 0.5 else ""  # noqa: E731
    tuned = simulation.run(ranges={"pruning.rate": [0.4, 0.75]}, oracle="grid", executor={"failing": own})
    assert tuned.tried[0].failure
    values = [each.outcome.value for each in tuned.tried[1:]]
    assert tuned.best.outcome.value == min(values)


def test_if_nothing_matches_nothing_is_recommended(simulation):
    tuned = simulation.run(executor={"accuracy": lambda spec: 0.9 if spec.round == 0 else 0.5})
    assert (tuned.best, tuned.confirmed) == (None, {})
    assert all(each.outcome.ticket is None for each in tuned.tried)
