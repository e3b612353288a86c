"""`execute`: one run. Build, mask, rewind, train, measure, store."""

import time
from typing import Any

from tf_lottery import arrays, steps
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Dataset
from tf_lottery.errors import StudyError
from tf_lottery.layers.access import get_masks
from tf_lottery.method.spec import LayerCount, Record, RunSpec
from tf_lottery.paths import RunPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.start import Start, prepare
from tf_lottery.runs.trainers import Bench
from tf_lottery.store.environment import environment
from tf_lottery.store.store import Store
from tf_lottery.training import state
from tf_lottery.training.checkpoint import Cadence, Checkpoint
from tf_lottery.training.dead_units import CompactTrainer, without_dead_units
from tf_lottery.training.measured import MeasuredTraining
from tf_lottery.training.observe import Point
from tf_lottery.training.replicas import check_agreement, from_chief
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.trainer import Trainer


def execute(
    spec: RunSpec, store: Store, bench: Bench | None = None, observer: StudyObserver | None = None
) -> Record:
    """Train one run and store it. An interrupted one goes on from its checkpoint, to the same bits.

    Args:
        spec: from `plan`; the runs it names as root and parent are finished.
        store: of the study.
        bench: used again from run to run, so that nothing is compiled twice.
        observer: hears how it goes.

    Returns:
        The run's record, which is on disk.

    Raises:
        DamagedError: a file of an earlier run that isn't as it was written.
        StudyError: nothing can be written.
        LotteryError: settings that don't fit the data or the model, a training that diverges.

    Example:
        >>> import tf_lottery as lottery
        >>> from pathlib import Path
        >>> from tf_lottery.store.store import Store
        >>> from tf_lottery.store.study_file import prepare
        >>> from tf_lottery.paths import StudyPaths
        >>> small = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=0"]
        >>> paths = StudyPaths(Path("digits"))
        >>> study = prepare(lottery.load_config("digits_quick", small), paths)
        >>> (spec,) = lottery.plan(study, [])
        >>> record = lottery.execute(spec, Store(paths))
        >>> record.last_step, lottery.plan(study, [record])
        (20, [])
    """
    began = time.perf_counter()
    bench, observer = bench or Bench(), observer or StudyObserver()
    dataset, trainer = bench.dataset(spec.data), bench.trainer(spec)
    per_epoch = steps.epoch(len(dataset.train), spec.training.batch_size)
    last = steps.iterations(spec.training.steps, per_epoch)
    snapshots = {steps.iterations(point, per_epoch) for point in spec.snapshots}

    check_agreement(trainer.strategy, spec.key)
    context = {"environment": environment(), "resolved": trainer.resolved}
    checkpoint = _checkpoint(spec, store, trainer, snapshots, context, observer)
    run = store.begin(spec.key, go_on=checkpoint is not None)
    start = prepare(spec, store, trainer, per_epoch)
    first = checkpoint.step if checkpoint else start.first_step
    observer.started(spec, first, last)
    smaller = _without_dead_units(spec, trainer, dataset, last - start.first_step)
    training = MeasuredTraining(
        smaller or trainer,
        observer,
        RewindManager(run.rewind),
        snapshots,
        Cadence(store.checkpoint_every, per_epoch, first),
        run.checkpoint,
        context,
    )
    training.run(
        start.first_step,
        last,
        steps.iterations(spec.training.evaluate_every, per_epoch),
        BatchOrder(spec.order_seed, len(dataset.train), spec.training.batch_size),
        checkpoint,
    )
    if smaller:
        trainer.set_weights(smaller.weights())
        start.checks["units_computed"] = smaller.units
        trainer.compile_seconds += smaller.compile_seconds
    record = store.finish(_record(spec, store, run, trainer, training, start, last, began))
    observer.finished(record)
    return record


def _record(
    spec: RunSpec,
    store: Store,
    run: RunPaths,
    trainer: Trainer,
    training: MeasuredTraining,
    start: Start,
    last: int,
    began: float,
) -> Record:
    """Keep what a finished training leaves, measure the test set, put it all together."""
    digests = _keep_state(store, run, trainer, training)
    measured = _measure(trainer, training)
    masks = get_masks(trainer.model)
    compiled, trainer.compile_seconds = trainer.compile_seconds, 0.0
    return Record(
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
        digests=digests,
        environment=environment(),
        **measured,
    )


def _checkpoint(
    spec: RunSpec,
    store: Store,
    trainer: Trainer,
    snapshots: set[int],
    context: dict[str, Any],
    observer: StudyObserver,
) -> Checkpoint | None:
    """Where a run goes on; None if it starts anew. With several workers the chief decides."""
    found = store.checkpoint(spec.key, observer.noted)
    step = from_chief(trainer.strategy, found and _usable(found, snapshots, context, observer))
    if step is None:
        return None
    if found is None or found.step != step:
        raise StudyError(
            f"Expected to go on from step {step}, as worker 0 does. Received: another checkpoint, or none. "
            "Give all workers a directory that all see."
        )
    return found


def _usable(
    checkpoint: Checkpoint, snapshots: set[int], context: dict[str, Any], observer: StudyObserver
) -> int | None:
    """The step of a checkpoint; None if going on from it wouldn't give the right bits."""
    kept = {f"rewind/{step}it" for step in snapshots if step <= checkpoint.step}
    if not kept <= checkpoint.rewind_digests.keys():
        return None  # it is past a rewind point that is asked for since
    if checkpoint.context != context:
        observer.noted(
            f"The checkpoint at step {checkpoint.step} is of another network, other packages or another "
            "machine: the run is trained from its start."
        )
        return None
    return checkpoint.step


def _without_dead_units(
    spec: RunSpec, trainer: Trainer, dataset: Dataset, steps: int
) -> CompactTrainer | None:
    """The smaller network, if it pays and the optimizer and all states to be kept allow it."""
    if spec.parent is None or spec.snapshots or (spec.rewind and spec.rewind.optimizer != "reset"):
        return None
    if spec.training.dead_units == "compute":
        return None
    return without_dead_units(trainer, spec.data, spec.training, dataset, steps)


def _keep_state(store: Store, run: RunPaths, trainer: Trainer, training: MeasuredTraining) -> dict[str, str]:
    """Write the run's files; return their digests."""
    columns = Point.__dataclass_fields__
    curves = {name: [getattr(point, name) for point in training.points] for name in columns}
    digests = training.rewind_digests | {
        "masks": arrays.save(run.masks, get_masks(trainer.model), compress=True),
        "weights_last": arrays.save(run.weights_last, trainer.weights()),
        "weights_early_stop": arrays.save(run.weights_early_stop, training.early_stop.weights),
        "curves": store.write_curves(run, curves),
    }
    if store.keeps_optimizer:  # of the network that was trained: without dead units, if so
        optimizer = state.capture(state.optimizer_variables(training.trainer.optimizer))
        digests["optimizer_last"] = arrays.save(run.optimizer_last, optimizer)
    return digests


def _measure(trainer: Trainer, training: MeasuredTraining) -> dict[str, float]:
    """Evaluate the test set on the last weights, which the trainer holds, and on the early-stop ones."""
    best, final = training.early_stop.point, training.points[-1]
    final_test_loss, final_test_accuracy = trainer.evaluate["test"]()
    trainer.set_weights(training.early_stop.weights)
    test_loss, test_accuracy = trainer.evaluate["test"]()
    return {
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
