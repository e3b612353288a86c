"""What ends a run before its last step, as its spec asks for it."""

from functools import partial
from typing import Any

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.length import Length
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.criteria import CRITERIA, Evidence
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.select import keep
from tf_lottery.runs.masks import counts_of
from tf_lottery.runs.subject import MODEL
from tf_lottery.training.early_bird import EarlyBird
from tf_lottery.training.engine import Engine
from tf_lottery.training.replicas import check_agreement
from tf_lottery.training.trainer import Trainer


def early_bird(spec: RunSpec, engine: Engine, trainer: Trainer, length: Length) -> EarlyBird | None:
    """Return the stop that ends a run once its next pruning has settled; None if it is trained to its end.

    Args:
        spec: The run's spec.
        engine: The engine that trains it.
        trainer: The whole network.
        length: The length of its training.

    Raises:
        LotteryError: As `check_looks` does.
    """
    if spec.until is None:
        return None
    check_looks(spec, length)
    own, pruning = spec.until, spec.until.pruning

    def draw(weights: Arrays, masks: Masks) -> Masks | None:
        evidence = Evidence({path: weights[MODEL + path] for path in masks}, masks=masks)
        scores = CRITERIA[pruning.criterion](evidence)
        try:
            return keep(scores, masks, counts_of(pruning, masks), pruning.min_density)
        except LotteryError:  # it would empty a layer: there may be no next round at all
            return None

    agree = partial(check_agreement, trainer.strategy)
    return EarlyBird(
        engine, length.step(own.every), draw, own.distance, own.masks, length.step(own.after), agree
    )


def check_looks(spec: RunSpec, length: Length) -> None:
    """Check that a training that may end early has enough looks at the next pruning for it.

    Raises:
        LotteryError: If it has too few before its last step.
    """
    first, last = length.span(spec.begins)
    every = length.step(spec.until.every)
    looks = len(range(first + every, last, every))
    if looks <= spec.until.masks:
        raise LotteryError(
            f"search.early_bird compares {spec.until.masks + 1} masks, but there are {looks} looks in a "
            f"training of {last - first} steps, one every {every} steps. Make early_bird.every shorter."
        )


def told(stop: EarlyBird | None, last: int) -> dict[str, Any]:
    """Return what a record says of a training that could end before its last step.

    Args:
        stop: The stop, after the training.
        last: The last step of the training, had it not ended before.
    """
    if stop is None:
        return {}
    saved = 0 if stop.ended is None else last - stop.ended
    return {"early_bird_steps_saved": saved, "early_bird_distances": stop.distances}
