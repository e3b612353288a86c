"""What a finished run leaves behind: its files, its measurements, its record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tf_lottery import arrays
from tf_lottery.arrays import Arrays
from tf_lottery.method.spec import Record, RunSpec, counts
from tf_lottery.paths import RunPaths
from tf_lottery.pruning.updates import LOOKING
from tf_lottery.runs.cost import changing, connected, spent
from tf_lottery.store.environment import environment
from tf_lottery.store.store import Store
from tf_lottery.training.engine import Engine
from tf_lottery.training.mask_updates import Change
from tf_lottery.training.observe import Point
from tf_lottery.training.stops import Evaluations, Snapshots
from tf_lottery.training.trainer import Trainer


@dataclass(frozen=True)
class Training:
    """What the training of a run yielded.

    Attributes:
        first_step: The step at which the run began.
        snapshots: The rewind points that the run kept.
        evaluations: The evaluations of the validation set, and early stop.
        optimizer: The optimizer's last state, None if it isn't kept.
        checks: The results of assertions.
        tester: The engine that measures the test set. It has the last weights.
        resolved: What was decided for this run, beside what was for its network.
        changes: How many weights remained from which step on, where masks changed.
    """

    first_step: int
    snapshots: Snapshots
    evaluations: Evaluations
    optimizer: Arrays | None
    checks: dict[str, Any]
    tester: Engine
    resolved: dict[str, Any]
    changes: Sequence[Change] = ()


def keep_run(
    spec: RunSpec,
    store: Store,
    trainer: Trainer,
    training: Training,
    began: float,
) -> Record:
    """Write a run's files, measure the test set, and write the record, which makes the run finished.

    Args:
        spec: The run's spec.
        store: The store that keeps the run.
        trainer: The whole network with its last weights.
        training: What the training yielded.
        began: The value of `time.perf_counter()` when the run began.
    """
    evaluations, first = training.evaluations, training.first_step
    digests = training.snapshots.digests | _write(store, store.paths.run(spec.key), trainer, training)
    measured = _measure(training.tester, evaluations)
    compiled, trainer.compile_seconds = trainer.compile_seconds, 0.0
    last = evaluations.points[-1].step
    total = time.perf_counter() - began
    seconds = evaluations.seconds | {"compile": compiled, "total": total}
    masked = spec.supermask is None
    cost = spent(trainer.model, last - first, spec.training.batch_size, seconds["train"], total, masked)
    if training.changes:
        looking = spec.updates.kind in LOOKING
        cost = changing(cost, trainer.model, training.changes, last, spec.training.batch_size, looking)
    return store.finish(
        Record(
            key=spec.key,
            spec=spec,
            parameters_total=trainer.parameters,
            first_step=first,
            last_step=last,
            steps_per_second=(last - first) / evaluations.seconds["train"],
            seconds=seconds,
            resolved=trainer.resolved | training.resolved,
            checks=training.checks | _updated(training) | {"zeros_checked_times": len(evaluations.points)},
            digests=digests,
            environment=environment(),
            spent=cost,
            **counts(trainer.masks()),
            **connected(trainer.model),
            **measured,
        )
    )


def _write(store: Store, run: RunPaths, trainer: Trainer, training: Training) -> dict[str, str]:
    """Write the run's files and return their digests."""
    evaluations = training.evaluations
    columns = Point.__dataclass_fields__
    curves = {name: [getattr(point, name) for point in evaluations.points] for name in columns}
    digests = {
        "masks": arrays.save(run.masks, trainer.masks(), compress=True),
        "weights_last": arrays.save(run.weights_last, trainer.weights()),
        "weights_early_stop": arrays.save(run.weights_early_stop, evaluations.early_stop.weights),
        "curves": store.write_curves(run, curves),
    }
    if training.optimizer is not None:
        digests["optimizer_last"] = arrays.save(run.optimizer_last, training.optimizer)
    return digests


def _updated(training: Training) -> dict[str, int]:
    """Return what the record says of the updates of masks."""
    if not training.changes:
        return {}
    return {"mask_updates": len(training.changes) - 1, "masks_last_changed": training.changes[-1].step}


def _measure(engine: Engine, evaluations: Evaluations) -> dict[str, float]:
    """Evaluate the test set with the last weights, which the engine holds, and with those at early stop."""
    best, final = evaluations.early_stop.point, evaluations.points[-1]
    final_test_loss, final_test_accuracy = engine.measure("test")
    engine.set_weights(evaluations.early_stop.weights)
    test_loss, test_accuracy = engine.measure("test")
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
