"""The stops of a training: rewind points, evaluations, progress reports, checkpoints."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.training.checkpoint import Cadence, Checkpoint
from tf_lottery.training.early_stop import EarlyStop, diverged
from tf_lottery.training.engine import Engine
from tf_lottery.training.observe import Passed, Point, TrainingObserver
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.stop import Stop

_EARLY_STOP = "early_stop/"


class Snapshots(Stop):
    """Keeps rewind points.

    Args:
        engine: The engine that trains.
        manager: The manager that keeps the rewind points.
        at: The steps of the rewind points.

    Attributes:
        digests: `rewind/<step>it` -> digest, of the rewind points that are kept so far.
    """

    def __init__(self, engine: Engine, manager: RewindManager, at: Iterable[int]):
        self._engine, self._manager, self._at = engine, manager, sorted(at)
        self.digests: dict[str, str] = {}

    def steps(self, first: int, last: int) -> Iterable[int]:
        return (step for step in self._at if first <= step <= last)

    def act(self, step: int, passed: Passed) -> None:
        self.digests[f"rewind/{step}it"] = self._manager.keep(step, self._engine.state())

    def kept(self) -> dict[str, Any]:
        return {"rewind_digests": self.digests}

    def restore(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        self.digests = dict(kept["rewind_digests"])


class Evaluations(Stop):
    """Evaluates the validation set, finds early stop, and checks that pruned weights are 0.0.

    Args:
        engine: The engine that trains.
        every: The number of steps between evaluations. The first and the last step are evaluated, too.
        observer: The observer that hears of the evaluations.
        early_stop: The rule that decides which weights are kept. Default: those at the minimum of the
            validation loss.

    Attributes:
        points: The evaluations so far.
        early_stop: The best evaluation so far, and its weights.
        seconds: The time spent in `train` and in `evaluate`, in seconds.
    """

    def __init__(
        self, engine: Engine, every: int, observer: TrainingObserver, early_stop: EarlyStop | None = None
    ):
        self._engine, self._every, self._observer = engine, every, observer
        self.early_stop = early_stop or EarlyStop()
        self.points: list[Point] = []
        self.seconds = {"train": 0.0, "evaluate": 0.0}
        self._passed = Passed()

    def steps(self, first: int, last: int) -> Iterable[int]:
        yield first
        yield from range(first - first % self._every + self._every, last, self._every)
        yield last

    def passed(self, passed: Passed) -> None:
        self.seconds["train"] += passed.seconds
        self._passed += passed

    def act(self, step: int, passed: Passed) -> None:
        began = time.perf_counter()
        loss, accuracy = self._engine.measure("validation")
        train = (self._passed.loss, self._passed.accuracy) if self._passed.steps else (None, None)
        point = Point(step, *train, loss, accuracy)
        if diverged(point):
            raise LotteryError(
                f"The training diverged: a loss is NaN or infinite at step {step}. Lower "
                "training.learning_rate."
            )
        self._engine.check()
        if self.early_stop.improves(point):
            self.early_stop.keep(point, self._engine.weights())
        self.points.append(point)
        self._passed = Passed()
        self.seconds["evaluate"] += time.perf_counter() - began
        self._observer.evaluated(point)

    def kept(self) -> dict[str, Any]:
        return {
            "points": [asdict(point) for point in self.points],
            "since_evaluation": asdict(self._passed),
            "seconds": self.seconds,
        }

    def kept_arrays(self) -> Arrays:
        return {_EARLY_STOP + name: value for name, value in (self.early_stop.weights or {}).items()}

    def restore(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        weights = {
            name.removeprefix(_EARLY_STOP): value
            for name, value in arrays.items()
            if name.startswith(_EARLY_STOP)
        }
        self._engine.check()
        self.points = [Point(**point) for point in kept["points"]]
        for point in self.points:
            if self.early_stop.improves(point):
                self.early_stop.keep(point, weights)
            self._observer.evaluated(point)
        self._passed = Passed(**kept["since_evaluation"])
        self.seconds = dict(kept["seconds"])


class Reports(Stop):
    """Tells an observer how far the training has come, without ever pausing it."""

    def __init__(self, observer: TrainingObserver):
        self._observer = observer

    def reached(self, step: int) -> bool:
        self._observer.advanced(step)
        return False


class Checkpoints(Stop):
    """Writes a checkpoint of the training every so often.

    Args:
        engine: The engine that trains.
        path: The file to write.
        cadence: The cadence that decides when a checkpoint is due.
        context: The context, as in a `Checkpoint`.
        stops: The other stops, whose needs the checkpoint keeps as well.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        cadence: Cadence,
        context: dict[str, Any],
        stops: Iterable[Stop],
    ):
        self._engine, self._path, self._cadence = engine, path, cadence
        self._context, self._stops = context, list(stops)

    def reached(self, step: int) -> bool:
        return self._cadence.due(step)

    def act(self, step: int, passed: Passed) -> None:
        kept, arrays = {}, {}
        for stop in self._stops:
            kept |= stop.kept()
            arrays |= stop.kept_arrays()
        Checkpoint(step, self._engine.state(), passed, kept, arrays, self._context).save(self._path)
        self._cadence.kept(step)
