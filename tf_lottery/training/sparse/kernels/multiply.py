"""Products with sparse kernels: outputs and the gradients of inputs, of Dense layers and convolutions.

The outputs of a layer are places on a grid of rows and columns, one place for a Dense layer. Every surviving
weight of an output adds one product at each place, a product of a number and 64 lanes: `offsets` says how far
its input lies from the place's origin. So a weight that doesn't remain costs nothing. Each output is a chain
of sums in the order of its weights: its bits don't depend on how many places are computed side by side.
"""

from llvmlite.binding import get_default_triple, get_host_cpu_features

from tf_lottery.training.sparse.kernels.cache import compiled, inlined
from tf_lottery.training.sparse.kernels.prefetch import expect_writes
from tf_lottery.training.sparse.kernels.vector import fma, load, not_negative, splat, store

FOUR = get_host_cpu_features().get("avx512f", False) or get_default_triple().startswith(("aarch64", "arm64"))
"""Whether four columns are computed side by side: where 32 registers hold their sums."""
_STRIP = 16
"""The columns of a row that an output's weights pass at once, so that writes are long."""


@compiled
def correlate(x, y, values, order, offsets, bounds, starts, bias, sizes, strides, relu, add_to):
    """Compute y[o] = bias[o] + sum over the weights of o of weight * x at the weight's offset.

    Args:
        x, y: Flat arrays in the batch-last layout.
        values: The weights that remain.
        order: The position in `values` of each weight, by output. None if they lie in this order.
        offsets: Where each weight's input lies from the origin of a place in x.
        bounds: Where the weights of each output (columns) in each block (rows) begin; the last row is the
            end. Blocks of inputs keep what is read in the cache.
        starts: Where each output's first place lies in y.
        bias: One number for each output; None for none.
        sizes: The numbers of groups, rows and columns.
        strides: The steps in x from group to group, row to row and column to column, then those in y, and the
            origin of the first place in x.
        relu: Whether negative outputs become 0.0.
        add_to: Whether the sums are added to what y holds.
    """
    groups, rows, columns = sizes
    x_group, x_row, x_column, y_group, y_row, y_column, origin = strides
    blocks = len(bounds) - 1
    for group in range(groups):
        for row in range(rows):
            at_x, at_y = origin + group * x_group + row * x_row, group * y_group + row * y_row
            for strip in range(0, columns, _STRIP):
                end = min(strip + _STRIP, columns)
                for block in range(blocks):
                    more, gate = add_to or block > 0, relu and block == blocks - 1
                    for output in range(len(starts)):
                        first, last = bounds[block, output], bounds[block + 1, output]
                        base = values.dtype.type(0) if bias is None else bias[output]
                        column = strip
                        while column < end:
                            four = FOUR and column + 4 <= end
                            x_place = at_x + column * x_column
                            place = at_y + starts[output] + column * y_column
                            if output + 1 < len(starts):
                                upcoming = at_y + starts[output + 1] + column * y_column
                                for side in range(4 if four else 1):
                                    expect_writes(y, upcoming + side * y_column)
                            if four:
                                _four(
                                    x,
                                    y,
                                    values,
                                    order,
                                    offsets,
                                    first,
                                    last,
                                    base,
                                    x_place,
                                    x_column,
                                    place,
                                    y_column,
                                    gate,
                                    more,
                                )
                            else:
                                _one(
                                    x,
                                    y,
                                    values,
                                    order,
                                    offsets,
                                    first,
                                    last,
                                    base,
                                    x_place,
                                    place,
                                    gate,
                                    more,
                                )
                            column += 4 if four else 1


@inlined
def _one(x, y, values, order, offsets, first, last, base, origin, place, relu, add_to):
    a0, a1, a2, a3 = _begin(y, place, base, add_to)
    for k in range(first, last):
        w = splat(values[k] if order is None else values[order[k]])
        at = origin + offsets[k]
        a0 = fma(w, load(x, at), a0)
        a1 = fma(w, load(x, at + 16), a1)
        a2 = fma(w, load(x, at + 32), a2)
        a3 = fma(w, load(x, at + 48), a3)
    _finish(y, place, a0, a1, a2, a3, relu)


@inlined
def _begin(y, place, base, add_to):
    a0 = a1 = a2 = a3 = splat(base)
    if add_to:
        a0, a1, a2, a3 = load(y, place), load(y, place + 16), load(y, place + 32), load(y, place + 48)
    return a0, a1, a2, a3


@inlined
def _finish(y, place, a0, a1, a2, a3, relu):
    if relu:
        a0, a1, a2, a3 = not_negative(a0), not_negative(a1), not_negative(a2), not_negative(a3)
    store(y, place, a0)
    store(y, place + 16, a1)
    store(y, place + 32, a2)
    store(y, place + 48, a3)


@inlined
def _four(x, y, values, order, offsets, first, last, base, origin, step, place, y_step, relu, add_to):
    a0, a1, a2, a3 = _begin(y, place, base, add_to)
    b0, b1, b2, b3 = _begin(y, place + y_step, base, add_to)
    c0, c1, c2, c3 = _begin(y, place + 2 * y_step, base, add_to)
    d0, d1, d2, d3 = _begin(y, place + 3 * y_step, base, add_to)
    for k in range(first, last):
        w = splat(values[k] if order is None else values[order[k]])
        at = origin + offsets[k]
        a0 = fma(w, load(x, at), a0)
        a1 = fma(w, load(x, at + 16), a1)
        a2 = fma(w, load(x, at + 32), a2)
        a3 = fma(w, load(x, at + 48), a3)
        at += step
        b0 = fma(w, load(x, at), b0)
        b1 = fma(w, load(x, at + 16), b1)
        b2 = fma(w, load(x, at + 32), b2)
        b3 = fma(w, load(x, at + 48), b3)
        at += step
        c0 = fma(w, load(x, at), c0)
        c1 = fma(w, load(x, at + 16), c1)
        c2 = fma(w, load(x, at + 32), c2)
        c3 = fma(w, load(x, at + 48), c3)
        at += step
        d0 = fma(w, load(x, at), d0)
        d1 = fma(w, load(x, at + 16), d1)
        d2 = fma(w, load(x, at + 32), d2)
        d3 = fma(w, load(x, at + 48), d3)
    _finish(y, place, a0, a1, a2, a3, relu)
    _finish(y, place + y_step, b0, b1, b2, b3, relu)
    _finish(y, place + 2 * y_step, c0, c1, c2, c3, relu)
    _finish(y, place + 3 * y_step, d0, d1, d2, d3, relu)
