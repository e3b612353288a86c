"""Passes over the rows of tensors: copies, sums, ReLU.

A row of an image is one run of numbers, columns times 64. Kernels take the numbers of groups, channels and
rows and of numbers in a row as `sizes`, and for each array its `steps`: where its first value lies, and the
distances between groups, channels and rows.
"""

from tf_lottery.training.sparse.kernels.cache import compiled, inlined
from tf_lottery.training.sparse.kernels.vector import (
    WIDTH,
    add,
    choose_positive,
    load,
    multiply,
    splat,
    store,
)


@inlined
def row_at(steps, group, channel, row):
    """Return where a row begins."""
    return steps[0] + group * steps[1] + channel * steps[2] + row * steps[3]


@compiled
def move(x, x_steps, y, y_steps, sizes, add_to):
    """Copy x into y, or add it to y."""
    groups, channels, rows, length = sizes
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_x, at_y = row_at(x_steps, group, channel, row), row_at(y_steps, group, channel, row)
                for at in range(0, length, WIDTH):
                    vector = load(x, at_x + at)
                    if add_to:
                        vector = add(vector, load(y, at_y + at))
                    store(y, at_y + at, vector)


@compiled
def plus(first, first_steps, second, second_steps, y, y_steps, sizes):
    """Compute the sum of two tensors."""
    groups, channels, rows, length = sizes
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_first, at_second = (
                    row_at(first_steps, group, channel, row),
                    row_at(second_steps, group, channel, row),
                )
                at_y = row_at(y_steps, group, channel, row)
                for at in range(0, length, WIDTH):
                    store(y, at_y + at, add(load(first, at_first + at), load(second, at_second + at)))


@compiled
def bend(x, x_steps, y, y_steps, sizes, slope):
    """Compute y = x where x is positive, and slope * x elsewhere."""
    groups, channels, rows, length = sizes
    factor = splat(slope)
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_x, at_y = row_at(x_steps, group, channel, row), row_at(y_steps, group, channel, row)
                for at in range(0, length, WIDTH):
                    vector = load(x, at_x + at)
                    store(y, at_y + at, choose_positive(vector, vector, multiply(factor, vector)))


@compiled
def bend_gradient(x, dx, x_steps, dy, y_steps, sizes, slope, add_to):
    """Compute the gradient of x from that of what `bend` makes of it, or add it."""
    groups, channels, rows, length = sizes
    factor = splat(slope)
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_x, at_y = row_at(x_steps, group, channel, row), row_at(y_steps, group, channel, row)
                for at in range(0, length, WIDTH):
                    gradient = load(dy, at_y + at)
                    gradient = choose_positive(load(x, at_x + at), gradient, multiply(factor, gradient))
                    if add_to:
                        gradient = add(gradient, load(dx, at_x + at))
                    store(dx, at_x + at, gradient)
