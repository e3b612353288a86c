"""Runs of a real study on digits, tested again, against a network that NumPy computes."""

import numpy as np
import pytest

from tests.drivers.test_run_study import study
from tf_lottery.analysis.classes import classes
from tf_lottery.analysis.classes_words import describe
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load

ARMS = {"ticket": {}, "random_reinit": {"rounds": [1], "trials": 2}, "small_dense": {"rounds": [2]}}
SETTINGS = {"model": {"name": "mlp", "kwargs": {"sizes": [20]}}, "arms": ARMS, "replicates": 2}


class Trained:
    """A finished study, as `classes` takes it."""

    def __init__(self, directory, **changes):
        run_study(study(**SETTINGS | changes), directory)
        self.paths = StudyPaths(directory)
        self.study, self.store, self.trainers = load(self.paths), Store(self.paths), Trainers()
        self.records = collect(self.study, self.store.records())

    def classes(self, round=None, **options):
        return classes(self.study, self.store, round, self.trainers, **options)

    def logits(self, record, x):
        """What the network answers, by NumPy."""
        weights = self.store.weights(record.key, "early_stop")
        masks = self.store.masks(record.key)
        values = {name.removeprefix("model/"): value.astype(np.float64) for name, value in weights.items()}
        hidden = x.reshape(len(x), -1) @ (values["hidden1/kernel"] * masks["hidden1/kernel"])
        hidden = np.maximum(hidden + values["hidden1/bias"], 0)
        return hidden @ (values["output/kernel"] * masks["output/kernel"]) + values["output/bias"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("classes") / "study", pruning__rounds=2)


def test_rows_are_those_that_numpy_computes(trained, digits):
    found = trained.classes(1)
    x, labels = digits.test.x.astype(np.float64), digits.test.y
    runs = {
        (r.spec.arm, r.spec.round, r.spec.replicate, r.spec.trial): r
        for r in trained.records
        if r.spec.round < 2
    }
    logits = {record.key: trained.logits(record, x) for record in runs.values()}
    chosen = {key: value.argmax(-1) for key, value in logits.items()}
    sizes = {key: np.exp(value) for key, value in logits.items()}
    shares, one_hot = (
        {key: each / each.sum(-1, keepdims=True) for key, each in sizes.items()},
        np.eye(10)[labels],
    )

    def mean_over(arm, round, of):
        each = [
            np.mean([of(runs[arm, round, replicate, trial].key) for trial in (0, 1)[: 1 + (arm != "ticket")]])
            for replicate in (0, 1)
        ]
        return np.mean(each)

    assert [(row.arm, row.round) for row in found.summaries] == [
        ("ticket", 0),
        ("ticket", 1),
        ("random_reinit", 1),
    ]
    for row in found.by_class:
        own = labels == row.label
        accuracy = mean_over(row.arm, row.round, lambda key, own=own: (chosen[key] == labels)[own].mean())
        before = mean_over("ticket", 0, lambda key, own=own: (chosen[key] == labels)[own].mean())
        assert (row.examples, row.runs, row.accuracy) == (own.sum(), 2, pytest.approx(accuracy))
        expected = pytest.approx(100 * (accuracy - before)) if row.round else None
        assert row.difference == expected
    for row in found.summaries:
        brier = mean_over(row.arm, row.round, lambda key: ((shares[key] - one_hot) ** 2).sum(-1).mean())
        assert row.brier == pytest.approx(brier, rel=1e-4)
        sure = mean_over(row.arm, row.round, lambda key: shares[key].max(-1).mean())
        assert row.confidence == pytest.approx(sure, rel=1e-4)
        losses = mean_over(
            row.arm,
            row.round,
            lambda key: next(r for r in runs.values() if r.key == key).early_stop_test_loss,
        )
        assert row.negative_log_likelihood == pytest.approx(losses, rel=1e-4), "the loss of the record"
    dense, ticket, control = found.churn
    assert (dense.second, dense.pairs) == ("dense", 1)
    first, second = (chosen[runs["ticket", 0, replicate, 0].key] for replicate in (0, 1))
    assert dense.differ == pytest.approx(np.mean(first != second))
    assert (control.second, control.pairs, ticket.pairs) == ("random_reinit", 4, 2)
    right = {place: chosen[run.key] == labels for place, run in runs.items()}
    alone = [(right["ticket", 0, each, 0] & ~right["ticket", 1, each, 0]).mean() for each in (0, 1)]
    assert ticket.only_first == pytest.approx(np.mean(alone))


def test_accuracies_are_those_of_the_records(trained):
    for row in trained.classes(2).summaries:
        own = [r for r in trained.records if (r.spec.arm, r.spec.round) == (row.arm, row.round)]
        assert row.accuracy == pytest.approx(np.mean([r.early_stop_test_accuracy for r in own]))
        assert row.density == pytest.approx(np.mean([r.density for r in own]))
    assert {row.arm for row in trained.classes(2).summaries} == {"ticket", "small_dense"}


def test_round_0_is_the_dense_network_alone(trained):
    found = trained.classes(0)
    assert [(row.arm, row.round) for row in found.summaries] == [("ticket", 0)]
    assert [row.second for row in found.churn] == ["dense"]
    assert "ticket" in "\n".join(describe(found))


def test_it_tells_how_far_it_is_and_counts_each_run_once(trained):
    told = []
    trained.classes(1, passed=lambda done, runs: told.append((done, runs)))
    assert told == [(number, 8) for number in range(1, 9)]


def test_arms_on_other_data_are_tested_on_it_and_compared_with_their_own_dense_network(tmp_path, digits):
    x, y = digits.train.x, digits.train.y % 3
    np.savez(tmp_path / "other.npz", x_train=x[:800], y_train=y[:800], x_test=x[800:], y_test=y[800:])
    other = {"name": "npz", "path": str(tmp_path / "other.npz")}
    arms = {
        "ticket": {},
        "moved": {"like": "transfer", "data": other},
        "moved_dense": {"like": "ticket", "data": other, "pruning": {"rounds": 0}},
    }
    trained = Trained(tmp_path / "study", arms=arms, pruning__rounds=1, replicates=1)
    found = trained.classes(1)
    assert [(row.arm, row.round) for row in found.summaries] == [
        ("ticket", 0),
        ("moved_dense", 0),
        ("ticket", 1),
        ("moved", 1),
    ]
    moved = [row for row in found.by_class if row.arm == "moved"]
    assert [row.label for row in moved] == [0, 1, 2]
    assert sum(row.examples for row in moved) == len(x) - 800
    assert all(row.difference is not None for row in moved)
    assert [(row.first, row.second) for row in found.churn] == [
        ("dense", "ticket"),
        ("dense of moved_dense", "moved"),
    ]


def test_a_network_that_answers_otherwise_is_refused(trained, monkeypatch):
    record = next(r for r in trained.records if r.spec.round == 1)
    wrong = record.model_copy(update={"early_stop_test_accuracy": record.early_stop_test_accuracy + 0.1})
    every = [wrong if each.key == record.key else each for each in trained.store.records()]
    monkeypatch.setattr(Store, "records", lambda self: every)
    with pytest.raises(LotteryError, match="ticket replicate 0 round 1, built again, is right for"):
        trained.classes(1)


def test_weights_that_were_not_kept_are_asked_for(trained):
    record = next(r for r in trained.records if r.spec.round == 1)
    weights = trained.paths.run(record.key).weights_early_stop
    hidden = weights.with_name("hidden")
    weights.rename(hidden)
    try:
        with pytest.raises(
            LotteryError, match="early-stop weights of ticket replicate 0 round 1 weren't kept"
        ):
            trained.classes(1)
    finally:
        hidden.rename(weights)


def test_a_round_that_was_not_trained_and_a_study_without_runs_are_refused(trained, tmp_path):
    for round in (7, -1, True):
        with pytest.raises(
            LotteryError, match=f"Expected a round with finished runs: 0, 1, 2. Received: {round}"
        ):
            trained.classes(round)
    with pytest.raises(LotteryError, match="No run of the study is finished yet"):
        classes(trained.study, Store(StudyPaths(tmp_path)))


def test_losses_of_other_outputs_are_not_calibrated_and_words_say_so(tmp_path):
    trained = Trained(
        tmp_path / "study", training__loss="mean_squared_error", replicates=1, pruning__rounds=1
    )
    found = trained.classes(1)
    assert {row.calibration_error for row in found.summaries} == {None}
    assert any("Calibration isn't told" in line for line in describe(found))


def test_a_stranger_names_a_function_in_vain(tmp_path):
    named = "tests.training.networks:with_dropout"
    trained = Trained(tmp_path / "study", model={"build": named}, arms={"ticket": {}}, pruning__rounds=1)
    with pytest.raises(LotteryError, match=f"Expected --function {named}"):
        trained.classes(functions=[])
    assert trained.classes(1, functions=[named]).round == 1
