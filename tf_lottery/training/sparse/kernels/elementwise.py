"""Passes over whole tensors."""

from tf_lottery.training.sparse.kernels.cache import compiled
from tf_lottery.training.sparse.kernels.vector import (
    WIDTH,
    add,
    load,
    splat,
    store,
    total,
    where_positive,
)


@compiled
def gate_and_sum(y, dy, starts, groups, group_step, rows, row_lanes, row_step, bias, relu):
    """Set the gradient to 0.0 where a ReLU's output is, and sum it for the bias.

    Args:
        y, dy: The layer's outputs and their gradient, flat arrays in the batch-last layout.
        starts: Where each channel begins.
        groups, group_step: The number of groups of lanes and the distance between them.
        rows, row_lanes, row_step: The number of rows, the numbers in one (columns times 64), and the distance
            between rows.
        bias: The gradient of the bias, which is written; None if there is none.
        relu: Whether there is a ReLU.
    """
    for channel in range(len(starts)):
        sums = splat(dy.dtype.type(0))
        for group in range(groups):
            for row in range(rows):
                first = group * group_step + starts[channel] + row * row_step
                for at in range(first, first + row_lanes, WIDTH):
                    gradient = load(dy, at)
                    if relu:
                        gradient = where_positive(load(y, at), gradient)
                        store(dy, at, gradient)
                    sums = add(sums, gradient)
        if bias is not None:
            bias[channel] = total(sums)
