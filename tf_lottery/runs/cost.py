"""What a run's record says of its cost, and of the weights that are connected."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from tf_lottery.layers.effective import effective_weights
from tf_lottery.layers.flops import flops, kernel_uses
from tf_lottery.layers.paths import named_variables
from tf_lottery.method.spent import Spent, training_flops
from tf_lottery.training.mask_updates import Change


def spent(
    model: keras.Model,
    steps: int,
    batch_size: int | None,
    seconds: float,
    seconds_total: float,
    masked: bool = True,
) -> Spent:
    """Return what a training cost.

    Args:
        model: The whole prunable network, with the masks that it was trained under.
        steps: The number of steps that were trained.
        batch_size: The number of examples in a step; None if it isn't known.
        seconds: The time of the training steps, in seconds.
        seconds_total: The time of the run, in seconds.
        masked: Whether the masks held from the first step on. If not, as where they are what was trained, all
            weights were computed with and got gradients, so `flops_remaining` is `flops_dense`.
    """
    forward = flops(model)
    examples = None if batch_size is None else steps * batch_size
    return Spent(
        steps=steps,
        examples=examples,
        flops_dense=training_flops(forward.dense, examples),
        flops_remaining=training_flops(forward.remaining if masked else forward.dense, examples),
        uncounted=list(forward.uncounted),
        seconds=seconds,
        seconds_total=seconds_total,
    )


def changing(
    cost: Spent,
    model: keras.Model,
    changes: Sequence[Change],
    last: int,
    batch_size: int,
    looking: bool,
) -> Spent:
    """Return the cost of a training whose masks changed: each step costs what remained of it.

    An update that looks at gradients of absent weights costs the forward pass and the gradient of the inputs
    of the present weights, and the gradient of all weights (Evci et al. 2020, appendix H).

    Args:
        cost: The cost of the training with its last masks.
        model: The whole prunable network.
        changes: How many weights remained from which step on.
        last: The last step.
        batch_size: The number of examples in a step.
        looking: Whether the updates look at gradients.
    """
    if cost.flops_remaining is None:
        return cost
    uses, _ = kernel_uses(model)
    sizes = {path: math.prod(variable.shape) for path, variable in named_variables(model).items()}
    dense = 2 * sum(uses[path] * sizes[path] for path in uses)
    total, ends = 0, [*(change.step for change in changes[1:]), last]
    for index, (change, end) in enumerate(zip(changes, ends, strict=True)):
        present = 2 * sum(uses[path] * change.remaining.get(path, sizes[path]) for path in uses)
        total += training_flops(present, (end - change.step) * batch_size)
        if looking and index + 1 < len(changes):
            total += (2 * present + dense) * batch_size
    return cost.model_copy(update={"flops_remaining": total})


def connected(model: keras.Model) -> dict[str, Any]:
    """Return a record's counts of effective weights, for the whole network and by layer; {} if unproven.

    Args:
        model: The whole prunable network, with its last masks.
    """
    by_layer = effective_weights(model)
    if by_layer is None:
        return {}
    return {"effective_remaining": sum(by_layer.values()), "effective": by_layer}
