"""The updates of masks that a run's spec asks for, and what they look at."""

from collections.abc import Callable
from functools import partial

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.length import Length
from tf_lottery.method.recipe import Updates
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.probe import Scores
from tf_lottery.pruning.scopes import Kept
from tf_lottery.pruning.updates import GROWING, LOOKING, UPDATES, Present
from tf_lottery.runs.masks import counts_of
from tf_lottery.runs.subject import MODEL
from tf_lottery.seeding import derive
from tf_lottery.training.batch_gradients import BatchGradients
from tf_lottery.training.mask_updates import Changing, MaskUpdates
from tf_lottery.training.replicas import check_agreement
from tf_lottery.training.trainer import Trainer


def update_steps(updates: Updates, length: Length) -> list[int]:
    """Return the steps at which a run's masks change.

    Masks that only shrink reach their last density at the end. Where weights grow back, the share that is
    dropped is 0 by then, so the last update comes before.

    Args:
        updates: The recipe.
        length: The length of the run's training.

    Raises:
        LotteryError: If there is no such step.
    """
    first, end = round(updates.begin * length.last), round(updates.end * length.last)
    every = length.step(updates.every)
    steps = list(range(first + every, end, every))
    if not steps:
        raise LotteryError(
            f"Expected updates of {updates.kind!r} within the training, every {every} steps between steps "
            f"{first} and {end}. Received: none. Make updates.every shorter, or end later."
        )
    return steps if updates.kind in GROWING else [*steps, end]


def check_growing(spec: RunSpec, trainer: Trainer) -> None:
    """Check that weights that grow back, which start at 0.0, are trained from there.

    Raises:
        LotteryError: If kernels that weights may grow in are frozen.
    """
    frozen = [path for path in trainer.kernels if path in trainer.frozen]
    if spec.updates.kind in GROWING and frozen:
        raise LotteryError(
            f"Arm {spec.arm!r} lets weights grow back from 0.0, but {frozen[0]} is frozen and would keep "
            "them there. Leave out model.frozen, or this arm."
        )


def mask_updates(
    spec: RunSpec, engine: Changing, trainer: Trainer, length: Length, order: BatchOrder
) -> MaskUpdates | None:
    """Return the stop that changes a run's masks; None if they don't change.

    Args:
        spec: The run's spec.
        engine: The engine that trains it.
        trainer: The whole network.
        length: The length of its training.
        order: The order of its examples.
    """
    if spec.updates is None:
        return None
    agree = partial(check_agreement, trainer.strategy)
    return MaskUpdates(
        engine, update_steps(spec.updates, length), _update(spec, trainer, length, order), agree
    )


def _update(
    spec: RunSpec, trainer: Trainer, length: Length, order: BatchOrder
) -> Callable[[int, Arrays, Masks], Masks]:
    updates, pruning = spec.updates, spec.updates.pruning
    first, end = round(updates.begin * length.last), round(updates.end * length.last)
    final: Kept | None = counts_of(pruning, masks_.ones(trainer.shapes())) if pruning else None
    measured = BatchGradients(trainer, order) if updates.kind in LOOKING else None

    def update(step: int, weights: Arrays, masks: Masks) -> Masks:
        def gradients() -> Scores:
            return measured(step, weights)

        present = Present(
            weights={path: weights[MODEL + path] for path in masks},
            masks=masks,
            progress=(step - first) / (end - first),
            fraction=updates.fraction,
            seed=derive(updates.seed, 0, "update", step),
            gradients=gradients,
            final=final,
            criterion=pruning.criterion if pruning else "magnitude",
            min_density=pruning.min_density if pruning else 0.0,
        )
        changed = UPDATES[updates.kind](present)
        _check(updates, masks, changed)
        return changed

    return update


def _check(updates: Updates, before: Masks, after: Masks) -> None:
    """Assert that masks shrink, or else that each layer has as many weights as before."""
    if updates.kind not in GROWING:
        if not masks_.shrinks(before, after):
            raise RuntimeError("a pruned weight came back: please report this")
    elif any(np.count_nonzero(before[path]) != np.count_nonzero(after[path]) for path in before):
        raise RuntimeError(f"update {updates.kind!r} changed how many weights remain: please report this")
