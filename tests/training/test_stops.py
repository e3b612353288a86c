"""What a training pauses for, on a real engine: in which order, at which steps, what a checkpoint keeps."""

import pytest

from tests.training.trainings import trainer
from tf_lottery.data.order import BatchOrder
from tf_lottery.training import feed
from tf_lottery.training.checkpoint import Cadence, Checkpoint
from tf_lottery.training.measured import train
from tf_lottery.training.observe import TrainingObserver
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.stop import Stop
from tf_lottery.training.stops import Checkpoints, Evaluations, Reports, Snapshots


class Thinning(Stop):
    """Stands for what later prunes within a training: it acts every ten steps, and has state of its own."""

    def __init__(self):
        self.acted, self.steps_passed = [], 0

    def steps(self, first, last):
        return range(10, last, 10)

    def passed(self, passed):
        self.steps_passed += passed.steps

    def act(self, step, passed):
        self.acted.append(step)

    def kept(self):
        return {"thinned_at": self.acted, "thinned_after": self.steps_passed}

    def restore(self, kept, arrays):
        self.acted, self.steps_passed = list(kept["thinned_at"]), kept["thinned_after"]


class Killed(Stop):
    def reached(self, step):
        if step >= 25:
            raise KeyboardInterrupt
        return False


class Heard(TrainingObserver):
    def __init__(self):
        self.steps, self.points = [], []

    def advanced(self, step):
        self.steps.append(step)

    def evaluated(self, point):
        self.points.append(point.step)


def begin(engine):
    engine.reset_optimizer()
    engine.set_weights(engine.initial_weights(1))


def parts(engine, directory, observer):
    snapshots = Snapshots(engine, RewindManager(directory / "rewind"), {0, 12})
    evaluations, thinning = Evaluations(engine, 15, observer), Thinning()
    kept = [snapshots, evaluations, thinning]
    cadence = Cadence("8it", 16, 0)
    checkpoints = Checkpoints(engine, directory / "checkpoint.npz", cadence, {"of": "a test"}, kept)
    return snapshots, evaluations, thinning, checkpoints, Reports(observer)


def found(snapshots, evaluations, thinning):
    points = [(p.step, p.train_loss, p.validation_loss) for p in evaluations.points]
    best = {name: value.tobytes() for name, value in evaluations.early_stop.weights.items()}
    return snapshots.digests, points, best, thinning.acted, thinning.steps_passed


@pytest.fixture
def engine(digits, monkeypatch):
    monkeypatch.setattr(feed, "STEPS_PER_CALL", 4)
    return trainer(digits, xla=False)


def test_stops_act_where_they_ask_and_a_resumed_training_is_the_same(engine, digits, tmp_path):
    order, whole, again = BatchOrder(7, len(digits.train), 60), Heard(), Heard()
    begin(engine)
    stops = parts(engine, tmp_path / "whole", whole)
    train(engine, 0, 40, order, stops)
    expected, weights = found(*stops[:3]), engine.weights()
    assert whole.points == [0, 15, 30, 40]
    assert list(stops[0].digests) == ["rewind/0it", "rewind/12it"]
    assert (stops[2].acted, stops[2].steps_passed) == ([10, 20, 30], 40)
    assert {4, 8, 12, 15, 40} <= set(whole.steps), (
        "calls end at planned steps, and are no longer than they may be"
    )

    begin(engine)
    with pytest.raises(KeyboardInterrupt):
        train(engine, 0, 40, order, [*parts(engine, tmp_path / "killed", Heard()), Killed()])
    checkpoint = Checkpoint.load(tmp_path / "killed/checkpoint.npz")
    assert checkpoint.step == 19, "the first end of a call that is eight steps after the one at 8"
    assert checkpoint.kept["thinned_at"] == [10]
    assert checkpoint.context == {"of": "a test"}
    begin(engine)  # as a run that is resumed prepares itself
    stops = parts(engine, tmp_path / "killed", again)
    train(engine, 0, 40, order, stops, checkpoint)
    assert found(*stops[:3]) == expected
    assert {n: v.tobytes() for n, v in engine.weights().items()} == {
        n: v.tobytes() for n, v in weights.items()
    }
    assert again.points == whole.points, "the earlier ones are told again"
    assert again.steps[0] > 19


def test_a_stop_does_nothing_by_itself(engine, digits):
    begin(engine)
    order = BatchOrder(7, len(digits.train), 60)
    train(engine, 0, 6, order, [])
    alone = engine.weights()
    begin(engine)
    train(engine, 0, 6, order, [Stop()])
    assert {n: v.tobytes() for n, v in engine.weights().items()} == {n: v.tobytes() for n, v in alone.items()}
