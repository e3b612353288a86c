"""Gradients of sparse kernels: the sum over all places and lanes of input times the output's gradient.

Their bits depend on how many places are computed side by side, so on the processor, but not on anything else.
"""

from tf_lottery.training.sparse.kernels.cache import compiled, inlined
from tf_lottery.training.sparse.kernels.multiply import FOUR
from tf_lottery.training.sparse.kernels.prefetch import expect_reads
from tf_lottery.training.sparse.kernels.vector import (
    WIDTH,
    add,
    fma,
    load,
    multiply,
    splat,
    store,
    total,
)


@compiled
def products(x, dy, gradient, offsets, bounds, starts, groups, x_group, y_group):
    """Compute the gradient of each weight of a layer of one place.

    Args:
        x, dy: Flat arrays in the batch-last layout.
        gradient: The gradient of each weight that remains, which is written.
        offsets, bounds, starts: As for `correlate`.
        groups: The number of groups of lanes.
        x_group, y_group: The distances between them.
    """
    for block in range(len(bounds) - 1):
        for group in range(groups):
            for output in range(len(starts)):
                place = group * y_group + starts[output]
                d0, d1, d2, d3 = (
                    load(dy, place),
                    load(dy, place + 16),
                    load(dy, place + 32),
                    load(dy, place + 48),
                )
                base = group * x_group
                for k in range(bounds[block, output], bounds[block + 1, output]):
                    at = base + offsets[k]
                    low = fma(load(x, at + 16), d1, multiply(load(x, at), d0))
                    high = fma(load(x, at + 48), d3, multiply(load(x, at + 32), d2))
                    value = total(add(low, high))
                    gradient[k] = value if group == 0 else gradient[k] + value


@compiled
def products_of_places(x, dy, gradient, partial, offsets, bounds, chunks, starts, sizes, strides):
    """Compute the gradient of each weight of a convolution.

    For each tile of places an output's dy stays in registers while its weights pass by. Each weight has a
    vector of partial sums in memory. Blocks of inputs and chunks of outputs keep what is read in the cache.

    Args:
        x, dy: Flat arrays in the batch-last layout.
        gradient: The gradient of each weight that remains, which is written.
        partial: A flat array, 16 numbers for each weight that an input block and a chunk of outputs share.
        offsets, bounds, starts, sizes, strides: As for `correlate`.
        chunks: Where each chunk of outputs begins, and the end.
    """
    groups, rows, columns = sizes
    x_group, x_row, x_column, y_group, y_row, y_column, origin = strides
    for block in range(len(bounds) - 1):
        for chunk in range(len(chunks) - 1):
            begin, end = chunks[chunk], chunks[chunk + 1]
            used = 0
            for output in range(begin, end):
                used += bounds[block + 1, output] - bounds[block, output]
            for at in range(0, used * WIDTH, WIDTH):
                store(partial, at, splat(gradient.dtype.type(0)))
            for group in range(groups):
                for row in range(rows):
                    at_x, at_y = origin + group * x_group + row * x_row, group * y_group + row * y_row
                    column = 0
                    while column < columns:
                        four = FOUR and column + 4 <= columns
                        x_place = at_x + column * x_column
                        sums = 0
                        for output in range(begin, end):
                            first, last = bounds[block, output], bounds[block + 1, output]
                            place = at_y + starts[output] + column * y_column
                            if output + 1 < end:
                                upcoming = at_y + starts[output + 1] + column * y_column
                                for side in range(4 if four else 1):
                                    expect_reads(dy, upcoming + side * y_column)
                            if four:
                                _four(
                                    x,
                                    dy,
                                    partial,
                                    sums,
                                    offsets,
                                    first,
                                    last,
                                    x_place,
                                    x_column,
                                    place,
                                    y_column,
                                )
                            else:
                                _one(x, dy, partial, sums, offsets, first, last, x_place, place)
                            sums += (last - first) * WIDTH
                        column += 4 if four else 1
            sums = 0
            for output in range(begin, end):
                for k in range(bounds[block, output], bounds[block + 1, output]):
                    gradient[k] = total(load(partial, sums))
                    sums += WIDTH


@inlined
def _one(x, dy, partial, sums, offsets, first, last, origin, place):
    d0, d1, d2, d3 = load(dy, place), load(dy, place + 16), load(dy, place + 32), load(dy, place + 48)
    for k in range(first, last):
        at = origin + offsets[k]
        low = fma(load(x, at), d0, load(partial, sums))
        high = multiply(load(x, at + 16), d1)
        low = fma(load(x, at + 32), d2, low)
        high = fma(load(x, at + 48), d3, high)
        store(partial, sums, add(low, high))
        sums += WIDTH


@inlined
def _four(x, dy, partial, sums, offsets, first, last, origin, step, place, y_step):
    a0, a1, a2, a3 = load(dy, place), load(dy, place + 16), load(dy, place + 32), load(dy, place + 48)
    place += y_step
    b0, b1, b2, b3 = load(dy, place), load(dy, place + 16), load(dy, place + 32), load(dy, place + 48)
    place += y_step
    c0, c1, c2, c3 = load(dy, place), load(dy, place + 16), load(dy, place + 32), load(dy, place + 48)
    place += y_step
    d0, d1, d2, d3 = load(dy, place), load(dy, place + 16), load(dy, place + 32), load(dy, place + 48)
    for k in range(first, last):
        at = origin + offsets[k]
        low = fma(load(x, at), a0, load(partial, sums))
        high = multiply(load(x, at + 16), a1)
        low = fma(load(x, at + 32), a2, low)
        high = fma(load(x, at + 48), a3, high)
        at += step
        low = fma(load(x, at), b0, low)
        high = fma(load(x, at + 16), b1, high)
        low = fma(load(x, at + 32), b2, low)
        high = fma(load(x, at + 48), b3, high)
        at += step
        low = fma(load(x, at), c0, low)
        high = fma(load(x, at + 16), c1, high)
        low = fma(load(x, at + 32), c2, low)
        high = fma(load(x, at + 48), c3, high)
        at += step
        low = fma(load(x, at), d0, low)
        high = fma(load(x, at + 16), d1, high)
        low = fma(load(x, at + 32), d2, low)
        high = fma(load(x, at + 48), d3, high)
        store(partial, sums, add(low, high))
        sums += WIDTH
