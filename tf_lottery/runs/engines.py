"""The choice of the engine that trains a run."""

from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs import strong
from tf_lottery.training.dead_units import CompactTrainer, without_dead_units
from tf_lottery.training.engine import Engine
from tf_lottery.training.supermask import SupermaskEngine
from tf_lottery.training.trainer import Trainer


@dataclass(frozen=True)
class Choice:
    """The engine that trains a run.

    Attributes:
        engine: The engine, in the state in which the run begins.
        resolved: What the record says of the choice; nothing if the study leaves none.
    """

    engine: Engine
    resolved: dict[str, Any] = field(default_factory=dict)


def choose(spec: RunSpec, trainer: Trainer, dataset: Dataset, steps: int) -> Choice:
    """Choose the engine that trains a run.

    `training.engine` decides: the dense engine, the sparse one, or, with `auto`, the sparse one for runs with
    masks where it is expected to be faster. The dense engine trains the network without dead units where that
    pays and is exact.

    Args:
        spec: The run's spec.
        trainer: The whole network, in the state in which the run begins.
        dataset: The run's data.
        steps: The number of steps to train.

    Raises:
        LotteryError: If the sparse engine is asked for and lacks something.
    """
    setting = spec.training.engine
    if spec.supermask is not None:
        reason = None if setting == "dense" else steps_aside(spec, trainer)
        aside = {"engine": "dense", "engine_reason": reason} if reason else {}
        engine = strong.mask_engine(spec, trainer, dataset)
        return Choice(engine, aside | strong.resolved(spec, engine))
    if setting == "dense":
        return Choice(_dense(spec, trainer, dataset, steps))
    reason = steps_aside(spec, trainer)
    if reason is None:
        from tf_lottery.training.sparse.engine import SparseEngine

        return Choice(SparseEngine(trainer, spec.training, dataset), {"engine": "sparse", **packages(spec)})
    return Choice(_dense(spec, trainer, dataset, steps), {"engine": "dense", "engine_reason": reason})


def packages(spec: RunSpec) -> dict[str, str]:
    """Return the versions of packages that decide a run's bits where the sparse engine may train it."""
    may = spec.training.engine == "sparse" or (spec.training.engine == "auto" and spec.trains_under_masks)
    return {name: metadata.version(name) for name in ("numba", "llvmlite")} if may else {}


def steps_aside(spec: RunSpec, trainer: Trainer) -> str | None:
    """Return why the dense engine trains a run of a study that leaves the choice; None if the sparse does.

    Args:
        spec: The run's spec.
        trainer: The whole network, with the run's masks.

    Raises:
        LotteryError: If the sparse engine is asked for and lacks something.
    """
    if spec.training.engine == "auto" and not spec.has_masks:
        return "the run has no masks"
    if spec.updates is not None and spec.updates.pruning and spec.training.engine == "auto":
        return "the masks shrink within the training"
    if (lacks := lacking(spec, trainer)) is not None:
        return f"the sparse engine lacks {lacks}"
    from tf_lottery.training.sparse.choice import pays

    if spec.training.engine == "auto" and not pays(trainer.model, trainer.masks(), spec.training.threads):
        return "too many weights remain"
    return None


def lacking(spec: RunSpec, trainer: Trainer) -> str | None:
    """Return what the sparse engine lacks to train a run, as a clause; None if it lacks nothing.

    Raises:
        LotteryError: If something is lacking and the study asks for the sparse engine.
    """
    from tf_lottery.training.sparse.choice import lacking as of

    lacks = "masks that are trained" if spec.supermask else of(trainer, spec.training)
    if lacks is not None and spec.training.engine == "sparse":
        raise LotteryError(
            f"Expected training.engine auto or dense, since the sparse engine lacks {lacks}. Received: sparse"
        )
    return lacks


def bring_back(engine: Engine, trainer: Trainer) -> tuple[Engine, dict[str, Any]]:
    """Copy the weights that an engine trained into the whole network.

    Returns:
        The engine that measures the test set, and the checks for the record.
    """
    if engine is trainer:
        return trainer, {}
    if isinstance(engine, SupermaskEngine):
        return trainer, strong.bake(engine, trainer)
    trainer.compile_seconds += engine.compile_seconds
    if isinstance(engine, CompactTrainer):
        trainer.set_weights(engine.weights())
        return trainer, {"units_computed": engine.units}
    trainer.set_masks(engine.masks())  # they may have changed within the training
    trainer.set_weights(engine.weights())
    return engine, {}


def _dense(spec: RunSpec, trainer: Trainer, dataset: Dataset, steps: int) -> Trainer | CompactTrainer:
    # Rewind points, updates of masks and looks at the next pruning need the whole network.
    whole = spec.snapshots or spec.updates or spec.until
    pruned = spec.has_masks and not whole
    fresh = spec.rewind is None or spec.rewind.optimizer == "reset"
    if pruned and fresh and spec.training.dead_units == "auto":
        compact = without_dead_units(trainer, spec.data, spec.training, dataset, steps)
        if compact is not None:
            return compact
    trainer.compile()  # here, so that no evaluation is charged for it
    return trainer
