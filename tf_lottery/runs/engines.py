"""Which engine trains a run."""

from typing import Any

from tf_lottery.data.split import Dataset
from tf_lottery.method.spec import RunSpec
from tf_lottery.training.dead_units import CompactTrainer, without_dead_units
from tf_lottery.training.trainer import Trainer


def choose(spec: RunSpec, trainer: Trainer, dataset: Dataset, steps: int) -> Trainer | CompactTrainer:
    """Return what trains a run: the network without dead units where that pays and is exact, else the whole.

    Args:
        spec: The run's spec.
        trainer: The whole network, as the run begins.
        dataset: The data of the run.
        steps: How many steps are to be trained.
    """
    scored = spec.parent is not None and not spec.snapshots  # states of the whole network aren't kept
    fresh = spec.rewind is None or spec.rewind.optimizer == "reset"
    if not (scored and fresh) or spec.training.dead_units == "compute":
        return trainer
    return without_dead_units(trainer, spec.data, spec.training, dataset, steps) or trainer


def bring_back(engine: Trainer | CompactTrainer, trainer: Trainer) -> dict[str, Any]:
    """Bring what an engine trained back into the whole network; return what a record's checks say of it."""
    if engine is trainer:
        return {}
    trainer.set_weights(engine.weights())
    trainer.compile_seconds += engine.compile_seconds
    return {"units_computed": engine.units}
