"""`execute`: one run. Build, mask, rewind, train, measure, store."""

import heapq
import time

from tf_lottery import arrays, atomic, steps
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.bench import Bench
from tf_lottery.experiment.environment import environment
from tf_lottery.experiment.observe import StudyObserver
from tf_lottery.experiment.spec import LayerCount, Record, RunSpec
from tf_lottery.experiment.start import prepare
from tf_lottery.experiment.store import Store
from tf_lottery.layers.access import get_masks
from tf_lottery.paths import RunPaths
from tf_lottery.training.dead_units import CompactTrainer, without_dead_units
from tf_lottery.training.early_stop import EarlyStop, diverged
from tf_lottery.training.loop import Passed
from tf_lottery.training.observe import Point
from tf_lottery.training.replicas import check_agreement
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.trainer import Trainer


def execute(
    spec: RunSpec, store: Store, bench: Bench | None = None, observer: StudyObserver | None = None
) -> Record:
    """Train one run and store it.

    Args:
        spec: from `plan`; the runs it names as root and parent are finished.
        store: of the study.
        bench: used again from run to run, so that nothing is compiled twice.
        observer: hears how it goes.

    Returns:
        The run's record, which is on disk.

    Raises:
        LotteryError: settings that don't fit the data or the model, a damaged artefact, a
            training that diverges.
    """
    began = time.perf_counter()
    bench, observer = bench or Bench(), observer or StudyObserver()
    dataset, trainer = bench.dataset(spec.data), bench.trainer(spec)
    check_agreement(trainer.strategy, spec.key)
    per_epoch = steps.epoch(len(dataset.train), spec.training.batch_size)
    last = steps.iterations(spec.training.steps, per_epoch)
    snapshots = {steps.iterations(point, per_epoch) for point in spec.snapshots}

    run = store.begin(spec.key)
    start = prepare(spec, store, trainer, per_epoch)
    observer.started(spec, start.first_step, last)
    smaller = _without_dead_units(spec, trainer, dataset, last - start.first_step)
    training = _Training(smaller or trainer, observer, RewindManager(run.rewind), snapshots)
    training.run(
        start.first_step,
        last,
        steps.iterations(spec.training.evaluate_every, per_epoch),
        BatchOrder(spec.order_seed, len(dataset.train), spec.training.batch_size),
    )
    if smaller:
        trainer.set_weights(smaller.weights())
        start.checks["units_computed"] = smaller.units
        trainer.compile_seconds += smaller.compile_seconds
    measured, digests = _measure(trainer, training, run)
    masks = get_masks(trainer.model)
    compiled, trainer.compile_seconds = trainer.compile_seconds, 0.0
    record = Record(
        key=spec.key,
        spec=spec,
        weights_total=sum(mask.size for mask in masks.values()),
        weights_remaining=sum(int(mask.sum()) for mask in masks.values()),
        parameters_total=trainer.parameters,
        layers={p: LayerCount(total=m.size, remaining=int(m.sum())) for p, m in masks.items()},
        first_step=start.first_step,
        last_step=last,
        steps_per_second=(last - start.first_step) / training.seconds["train"],
        seconds=training.seconds | {"compile": compiled, "total": time.perf_counter() - began},
        resolved=trainer.resolved,
        checks=start.checks | {"zeros_checked_times": len(training.points)},
        digests=digests | training.rewind_digests,
        environment=environment(),
        **measured,
    )
    record = store.finish(record)
    observer.finished(record)
    return record


class _Training:
    """Runs the loop and measures on the way: curves, early stop, zeros, rewind points."""

    def __init__(
        self,
        trainer: Trainer | CompactTrainer,
        observer: StudyObserver,
        rewind: RewindManager,
        snapshots: set[int],
    ):
        self.trainer, self.observer = trainer, observer
        self._rewind, self._snapshots = rewind, snapshots
        self.early_stop = EarlyStop()
        self.points: list[Point] = []
        self._passed = Passed()
        self.rewind_digests: dict[str, str] = {}
        self.seconds = {"train": 0.0, "evaluate": 0.0}

    def run(self, first: int, last: int, every: int, order: BatchOrder) -> None:
        """Train from step `first` to `last`, evaluating every `every` steps and at both ends."""
        self._evaluates = lambda step: step % every == 0 or step in (first, last)
        self._at_stop(first, Passed())
        later = (step for step in sorted(self._snapshots) if step > first)
        stops = heapq.merge(range(first - first % every + every, last, every), later, [last])
        self.trainer.loop.run(first, order, stops, self._at_stop, self.observer.advanced)

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


def _without_dead_units(
    spec: RunSpec, trainer: Trainer, dataset: Dataset, steps: int
) -> CompactTrainer | None:
    """The smaller network, if it pays and the optimizer and all states to be kept allow it."""
    if spec.parent is None or spec.snapshots or (spec.rewind and spec.rewind.optimizer != "reset"):
        return None
    if spec.training.dead_units == "compute":
        return None
    return without_dead_units(trainer, spec.data, spec.training, dataset, steps)


def _measure(trainer: Trainer, training: _Training, run: RunPaths) -> tuple[dict[str, float], dict[str, str]]:
    """Evaluate the test set on the last and the early-stop weights; write the run's files."""
    best, final = training.early_stop.point, training.points[-1]
    last_weights = trainer.weights()
    final_test_loss, final_test_accuracy = trainer.evaluate["test"]()
    trainer.set_weights(training.early_stop.weights)
    test_loss, test_accuracy = trainer.evaluate["test"]()
    digests = {
        "masks": arrays.save(run.masks, get_masks(trainer.model), compress=True),
        "weights_last": arrays.save(run.weights_last, last_weights),
        "weights_early_stop": arrays.save(run.weights_early_stop, training.early_stop.weights),
    }
    columns = Point.__dataclass_fields__
    atomic.write_json(run.curves, {name: [getattr(p, name) for p in training.points] for name in columns})
    measured = {
        "early_stop_iteration": best.step,
        "best_validation_loss": best.validation_loss,
        "early_stop_validation_accuracy": best.validation_accuracy,
        "early_stop_test_loss": test_loss,
        "early_stop_test_accuracy": test_accuracy,
        "final_validation_loss": final.validation_loss,
        "final_validation_accuracy": final.validation_accuracy,
        "final_test_loss": final_test_loss,
        "final_test_accuracy": final_test_accuracy,
    }
    return measured, digests
