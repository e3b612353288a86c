"""Runs that train masks: what their engine is made of, and what becomes of what it found."""

from typing import Any

from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.supermasks import SUPERMASKS
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.masks import counts_of
from tf_lottery.training.supermask import SupermaskEngine
from tf_lottery.training.trainer import Trainer


def check_kind(spec: RunSpec) -> None:
    """Check that there is a supermask of the kind that a run asks for, if it asks for one.

    Raises:
        LotteryError: If there isn't.
    """
    if spec.supermask is not None and spec.supermask.kind not in SUPERMASKS:
        raise LotteryError(
            f"Expected arm {spec.arm!r} with a supermask.kind of {', '.join(SUPERMASKS)}. "
            f"Received: {spec.supermask.kind!r}"
        )


def mask_engine(spec: RunSpec, trainer: Trainer, dataset: Dataset) -> SupermaskEngine:
    """Return the engine that trains a run's masks.

    Args:
        spec: The run's spec, which has a supermask.
        trainer: The whole network without masks, in the state in which the run begins.
        dataset: The run's data.
    """
    counts = counts_of(spec.pruning, trainer.masks()) if spec.pruning else {}
    return SupermaskEngine(trainer, spec.training, dataset, spec.supermask, counts)


def resolved(spec: RunSpec, engine: SupermaskEngine) -> dict[str, Any]:
    """Return what a record says of the masks that were trained."""
    sizes = {path: float(size) for path, size in engine.sizes.items()}
    return {"supermask": {"kind": spec.supermask.kind} | ({"sizes": sizes} if sizes else {})}


def bake(engine: SupermaskEngine, trainer: Trainer) -> dict[str, Any]:
    """Give the whole network the masks that were trained, and the weights under them, as a ticket has them.

    Returns:
        The checks for the record.

    Raises:
        LotteryError: If the masks prune a whole layer.
    """
    engine.check()
    masks, weights = engine.masks(), engine.weights()
    if empty := [path for path, mask in masks.items() if not mask.any()]:
        raise LotteryError(
            f"The mask that was trained prunes all of {empty[0]}, and every layer must keep a weight. Train "
            "it longer, with another learning rate or less weight decay."
        )
    trainer.begin(masks, weights, 0, None)
    trainer.compile_seconds += engine.compile_seconds
    return {"weights_stayed": True}
