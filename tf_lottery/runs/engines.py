"""The choice of the engine that trains a run."""

from typing import Any

from tf_lottery.data.split import Dataset
from tf_lottery.method.spec import RunSpec
from tf_lottery.training.dead_units import CompactTrainer, without_dead_units
from tf_lottery.training.trainer import Trainer


def choose(spec: RunSpec, trainer: Trainer, dataset: Dataset, steps: int) -> Trainer | CompactTrainer:
    """Return the engine that trains a run.

    It trains the network without dead units where that pays and is exact, and else the whole network.

    Args:
        spec: The run's spec.
        trainer: The whole network, in the state in which the run begins.
        dataset: The run's data.
        steps: The number of steps to train.
    """
    has_masks = any((spec.parent, spec.pruning, spec.masks_of))
    pruned = has_masks and not spec.snapshots  # a rewind point needs the whole network's state
    fresh = spec.rewind is None or spec.rewind.optimizer == "reset"
    if not (pruned and fresh) or spec.training.dead_units == "compute":
        return trainer
    return without_dead_units(trainer, spec.data, spec.training, dataset, steps) or trainer


def bring_back(engine: Trainer | CompactTrainer, trainer: Trainer) -> dict[str, Any]:
    """Copy the weights that an engine trained into the whole network; return the checks for the record."""
    if engine is trainer:
        return {}
    trainer.set_weights(engine.weights())
    trainer.compile_seconds += engine.compile_seconds
    return {"units_computed": engine.units}
