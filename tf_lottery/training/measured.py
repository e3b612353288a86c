"""A training that is measured on the way: curves, early stop, zeros, rewind points, checkpoints."""

import heapq
import time
from pathlib import Path
from typing import Any

from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.training import state
from tf_lottery.training.checkpoint import Cadence, Checkpoint
from tf_lottery.training.dead_units import CompactTrainer
from tf_lottery.training.early_stop import EarlyStop, diverged
from tf_lottery.training.loop import Passed
from tf_lottery.training.observe import Point, TrainingObserver
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.trainer import Trainer


class MeasuredTraining:
    """Runs the loop and measures.

    Args:
        trainer: with masks, weights and optimizer as the training begins.
        observer: hears of steps and evaluations.
        rewind: keeps the rewind points.
        snapshots: steps of the rewind points to keep.
        cadence: when checkpoints are due.
        checkpoint: the file that they are written to.
        context: as of a `Checkpoint`.

    Attributes:
        early_stop: the minimum of the validation loss so far, and its weights.
        points: the evaluations so far.
        rewind_digests: `rewind/<step>it` -> digest.
        seconds: spent in `train` and `evaluate`.
    """

    def __init__(
        self,
        trainer: Trainer | CompactTrainer,
        observer: TrainingObserver,
        rewind: RewindManager,
        snapshots: set[int],
        cadence: Cadence,
        checkpoint: Path,
        context: dict[str, Any],
    ):
        self.trainer, self.observer = trainer, observer
        self._rewind, self._snapshots = rewind, snapshots
        self._cadence, self._checkpoint, self._context = cadence, checkpoint, context
        self.early_stop = EarlyStop()
        self.points: list[Point] = []
        self._passed = Passed()
        self.rewind_digests: dict[str, str] = {}
        self.seconds = {"train": 0.0, "evaluate": 0.0}

    def run(
        self, first: int, last: int, every: int, order: BatchOrder, checkpoint: Checkpoint | None = None
    ) -> None:
        """Train from step `first` to `last`, evaluating every `every` steps and at both ends.

        Args:
            first: the step at which the training begins, or began.
            last: its last step.
            every: steps from one evaluation to the next.
            order: of the examples.
            checkpoint: of the same training; it goes on from there, to the same bits.
        """
        self._evaluates = lambda step: step % every == 0 or step in (first, last)
        if checkpoint is None:
            at, passed = first, None
            self._at_stop(first, Passed())
        else:
            at, passed = checkpoint.step, checkpoint.since_stop
            self._restore(checkpoint)
        later = (step for step in sorted(self._snapshots) if step > at)
        evaluations = range(first - first % every + every, last, every)
        stops = heapq.merge((step for step in evaluations if step > at), later, [last])
        loop = self.trainer.loop
        due, keep = self._cadence.due, self._keep
        loop.run(at, order, stops, self._at_stop, self.observer.advanced, due, keep, passed)

    def _at_stop(self, step: int, passed: Passed) -> None:
        self.seconds["train"] += passed.seconds
        self._passed += passed
        if step in self._snapshots:
            digest = self._rewind.save(step, self.trainer.model, self.trainer.optimizer)
            self.rewind_digests[f"rewind/{step}it"] = digest
        if self._evaluates(step):
            self._evaluate(step, self._passed)
            self._passed = Passed()

    def _evaluate(self, step: int, passed: Passed) -> None:
        began = time.perf_counter()
        loss, accuracy = self.trainer.evaluate["validation"]()
        train = (passed.loss, passed.accuracy) if passed.steps else (None, None)
        point = Point(step, *train, loss, accuracy)
        if diverged(point):
            raise LotteryError(
                f"Expected a finite loss. Received: NaN or infinity at step {step}, the training diverged. "
                "Lower training.learning_rate."
            )
        self.trainer.loop.check()
        if self.early_stop.improves(point):
            self.early_stop.keep(point, self.trainer.weights())
        self.points.append(point)
        self.seconds["evaluate"] += time.perf_counter() - began
        self.observer.evaluated(point)

    def _keep(self, step: int, passed: Passed) -> None:
        Checkpoint(
            step=step,
            variables=state.capture(self._variables()),
            early_stop=self.early_stop.weights,
            points=self.points,
            since_stop=passed,
            since_evaluation=self._passed,
            rewind_digests=self.rewind_digests,
            seconds=self.seconds,
            context=self._context,
        ).save(self._checkpoint)
        self._cadence.kept(step)

    def _restore(self, checkpoint: Checkpoint) -> None:
        state.restore(self._variables(), checkpoint.variables)
        self.trainer.loop.check()
        for point in checkpoint.points:
            if self.early_stop.improves(point):
                self.early_stop.keep(point, checkpoint.early_stop)
            self.observer.evaluated(point)
        self.points = list(checkpoint.points)
        self._passed = checkpoint.since_evaluation
        self.rewind_digests = dict(checkpoint.rewind_digests)
        self.seconds = dict(checkpoint.seconds)

    def _variables(self) -> dict:
        trainer = self.trainer
        return state.model_variables(trainer.model) | state.optimizer_variables(trainer.optimizer)
