"""What a run's record says of its cost, and of the weights that are connected."""

from typing import Any

import keras

from tf_lottery.layers.effective import effective_weights
from tf_lottery.layers.flops import flops
from tf_lottery.method.spent import Spent, training_flops


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


def connected(model: keras.Model) -> dict[str, Any]:
    """Return a record's counts of effective weights, for the whole network and by layer; {} if unproven.

    Args:
        model: The whole prunable network, with its last masks.
    """
    by_layer = effective_weights(model)
    if by_layer is None:
        return {}
    return {"effective_remaining": sum(by_layer.values()), "effective": by_layer}
