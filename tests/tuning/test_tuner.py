"""Real tunings on digits, from the ranges to the ticket of the best candidate."""

import json

import numpy as np
import pytest

from tests.drivers.test_run_study import results
from tests.tuning.simulated import table
from tf_lottery import config_file
from tf_lottery.config_tune import TuneConfig, Tuning
from tf_lottery.drivers.run_study import run_study
from tf_lottery.method.plan import plan
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.tuning.journal import asked
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuner import TuningObserver, run_tuning

STUDY = {
    "name": "small",
    "data": {"name": "digits", "validation": 200},
    "model": {"name": "mlp", "kwargs": {"sizes": [20]}},
    "training": {"steps": "60it", "evaluate_every": "20it", "learning_rate": 0.01, "xla": False},
    "search": {"steps": "20it"},
    "pruning": {"rate": 0.5, "rounds": 3},
    "arms": {"ticket": {}, "final": {}},
    "storage": {"keep": "masks", "checkpoint_every": "10it"},
}
TUNE = {
    "oracle": "grid",
    "tolerance": 0.12,
    "candidates": 5,
    "at_once": 2,
    "down_to": 0.2,
    "confirm": 1,
    "ranges": {"pruning.rate": [0.5, 0.7], "search.steps": ["20it", "40it"]},
}


def tuning(study=None, **tune):
    section = config_file.validate(json.loads(json.dumps({**TUNE, **tune})), "tune", TuneConfig)
    return Tuning(config_file.validate({**STUDY, **(study or {})}), section)


class Trained(TuningObserver):
    """What was trained; a user presses Ctrl-C in the middle of a run, after so many have begun."""

    def __init__(self, ends_in=None):
        self.starts, self.done, self.failures, self._ends_in = [], [], [], ends_in

    def started(self, spec, first, last):
        self.starts.append((spec.key, first))

    def advanced(self, step):
        if len(self.starts) >= (self._ends_in or 1000) and step >= self.starts[-1][1] + 40:
            raise KeyboardInterrupt

    def finished(self, record):
        self.done.append(record.key)

    def failed(self, failure):
        self.failures.append(failure.reason)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tuning that ran to its end: its directory, what it came to, what was trained."""
    directory = tmp_path_factory.mktemp("finished") / "tuning"
    observer = Trained()
    return directory, run_tuning(tuning(), directory, observer), observer


def test_all_candidates_are_trained_and_no_run_twice(finished):
    directory, tuned, observer = finished
    assert [tuple(each.candidate.values.values()) for each in tuned.tried] == [
        (),
        (0.5, "20it"),
        (0.5, "40it"),
        (0.7, "20it"),
        (0.7, "40it"),
    ]
    assert all(each.outcome for each in tuned.tried)
    assert len(observer.done) == len(set(observer.done)) == len(Store(StudyPaths(directory)).records())
    assert [first for _, first in observer.starts] == [0] * len(observer.done)


def test_what_it_came_to_follows_from_the_records(finished):
    directory, tuned, _ = finished
    records = {record.key: record for record in Store(StudyPaths(directory)).records()}
    assert tuned.spent.steps == sum(record.spent.steps for record in records.values())
    own, same, *_ = tuned.tried
    assert (own.outcome, own.steps) == (same.outcome, same.steps), "the first of the grid is the study's own"
    dense = {record.early_stop_validation_accuracy for record in records.values() if _is_dense(record, tuned)}
    assert {each.outcome.dense.accuracy for each in tuned.tried} == dense
    assert {each.outcome.dense.cost for each in tuned.tried} == {60}
    for each in tuned.tried:
        ticket = each.outcome.ticket
        k = int(each.candidate.study.search.steps[:-2])
        if ticket:
            assert ticket.cost == each.outcome.cost == 60 + k * ticket.round
            assert ticket.accuracy >= max(dense) - 0.12 - 1e-9
            rate = each.candidate.study.pruning.rate
            assert ticket.density == pytest.approx((1 - rate) ** ticket.round, rel=0.02)


def _is_dense(record, tuned):
    seed = tuned.tried[0].candidate.study.seed
    first = plan(tuned.tried[0].candidate.study, [])
    return record.key == first[0].key and seed == 0


def test_a_finished_tuning_trains_nothing_again_and_comes_to_the_same(finished):
    directory, tuned, _ = finished
    observer = Trained()
    assert table(run_tuning(tuning(), directory, observer)) == table(tuned)
    assert observer.starts == []


def test_an_interrupted_tuning_goes_on_in_the_middle_of_a_run_to_the_same_bits(finished, tmp_path):
    directory, tuned, whole = finished
    other, done, starts = tmp_path / "tuning", [], []
    for ends_in in (1, 3, 9):
        observer = Trained(ends_in)
        with pytest.raises(KeyboardInterrupt):
            run_tuning(tuning(), other, observer)
        done, starts = done + observer.done, starts + observer.starts
    observer = Trained()
    ended = run_tuning(tuning(), other, observer)
    done, starts = done + observer.done, starts + observer.starts
    assert table(ended) == table(tuned)
    assert sorted(done) == sorted(whole.done), "each run was finished once"
    assert len([first for _, first in starts if first]) == 3, (
        "those that were interrupted began in their middle"
    )
    assert results(other) == results(directory)
    assert asked(TuningPaths(other)) == asked(TuningPaths(directory))


def test_each_candidate_is_a_study_that_can_be_read(finished):
    directory, tuned, _ = finished
    for each in tuned.tried:
        paths = StudyPaths(directory / "candidates" / each.candidate.name)
        assert load(paths) == each.candidate.study
        store = Store(paths)
        records = store.records()
        assert sum(record.spent.steps for record in records) == each.steps
        for record in records:
            assert next(store.damaged(record), None) is None
            density = sum(mask.sum() for mask in store.masks(record.key).values()) / record.weights_total
            assert density == record.density


def test_the_weights_of_each_candidates_ticket_are_kept(finished):
    directory, tuned, _ = finished
    tickets = [each for each in tuned.tried if each.outcome.ticket]
    assert tickets
    for each in tickets:
        store = Store(StudyPaths(directory / "candidates" / each.candidate.name))
        at = each.outcome.ticket.round
        (record,) = [r for r in store.records() if (r.spec.arm, r.spec.round) == ("final", at)]
        weights, masks = store.weights(record.key, "early_stop"), store.masks(record.key)
        for path, mask in masks.items():
            assert not weights[f"model/{path}"][~mask].any()
            assert np.abs(weights[f"model/{path}"][mask]).sum() > 0


def test_a_study_beside_a_tuning_takes_its_runs_over(finished):
    directory, _, _ = finished
    dense = {"search": None, "arms": {"ticket": {}}, "pruning": {"rate": 0.5, "rounds": 0}}
    observer = Trained()
    (record,) = run_study(tuning(dense).study, directory.parent / "beside", observer=observer)
    assert observer.starts == []
    assert record.key in {each.key for each in Store(StudyPaths(directory)).records()}


def test_candidates_that_cant_be_trained_are_recorded_and_sink_nothing(tmp_path):
    rates = {"training.learning_rate": [0.01, 1e30], "training.batch_size": [60, 4096]}
    observer = Trained()
    tuned = run_tuning(tuning(ranges=rates, confirm=0), tmp_path / "tuning", observer)
    failures = {tuple(each.candidate.values.values()): each.failure for each in tuned.tried[1:]}
    assert failures[0.01, 60] == ""
    assert "The training diverged" in failures[1e30, 60]
    for rate in (0.01, 1e30):
        assert failures[rate, 4096].startswith("Expected at least one batch of training examples")
    assert tuned.best is tuned.tried[0]
    assert len(observer.failures) == 2, "both dense networks"
    again = Trained()
    assert table(run_tuning(tuning(ranges=rates, confirm=0), tmp_path / "tuning", again)) == table(tuned)
    assert again.starts == []


def test_rounds_trained_in_full_are_tuned_without_a_search(tmp_path):
    alone = {"search": None, "arms": {"ticket": {}}}
    options = {"ranges": {"pruning.rate": [0.3, 0.7]}, "candidates": 3, "objective": {"accuracy_at": 0.3}}
    tuned = run_tuning(tuning(alone, **options), tmp_path / "tuning")
    for each in tuned.tried:
        assert each.outcome.ticket.density <= 0.3 < 1
        assert each.outcome.cost == 60 * (each.outcome.ticket.round + 1)
    assert tuned.distinct == sum(each.steps for each in tuned.tried) - 2 * 60, (
        "one dense network for all three"
    )
