"""Pooling of images. A window is cut off where it goes beyond the image.

The arguments are the same for all: `sizes` are the numbers of groups, of channels, and of rows and columns
of the outputs; `image` those of rows and columns of the inputs, `window` and `strides` a window's sizes and
the distances between windows, and `before` by how much the first window begins above and left of the image.
`tiled` says that windows tile the image; `steps` are as in `rows`.
"""

from tf_lottery.training.sparse.kernels.cache import compiled, inlined
from tf_lottery.training.sparse.kernels.rows import row_at
from tf_lottery.training.sparse.kernels.vector import (
    LANES,
    WIDTH,
    add,
    choose_equal,
    divide,
    larger,
    load,
    multiply,
    splat,
    store,
)


@inlined
def _bounds(index, axis, image, window, strides, before):
    begin = index * strides[axis] - before[axis]
    return max(begin, 0), min(begin + window[axis], image[axis])


@compiled
def highest(x, x_steps, y, y_steps, sizes, image, window, strides, before):
    """Compute the maximum of each window."""
    groups, channels, rows, columns = sizes
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_y = row_at(y_steps, group, channel, row)
                top, bottom = _bounds(row, 0, image, window, strides, before)
                for column in range(columns):
                    left, right = _bounds(column, 1, image, window, strides, before)
                    at = row_at(x_steps, group, channel, top) + left * LANES
                    a, b, c, d = load(x, at), load(x, at + 16), load(x, at + 32), load(x, at + 48)
                    for r in range(top, bottom):
                        first = row_at(x_steps, group, channel, r)
                        for at in range(first + left * LANES, first + right * LANES, LANES):
                            a, b = larger(a, load(x, at)), larger(b, load(x, at + 16))
                            c, d = larger(c, load(x, at + 32)), larger(d, load(x, at + 48))
                    _write(y, at_y + column * LANES, a, b, c, d)


@inlined
def _write(y, at, a, b, c, d):
    store(y, at, a)
    store(y, at + 16, b)
    store(y, at + 32, c)
    store(y, at + 48, d)


@compiled
def average(x, x_steps, y, y_steps, sizes, image, window, strides, before):
    """Compute the mean of each window's part within the image."""
    groups, channels, rows, columns = sizes
    zero = splat(x.dtype.type(0))
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_y = row_at(y_steps, group, channel, row)
                top, bottom = _bounds(row, 0, image, window, strides, before)
                for column in range(columns):
                    left, right = _bounds(column, 1, image, window, strides, before)
                    sum_a = sum_b = sum_c = sum_d = zero
                    for r in range(top, bottom):
                        first = row_at(x_steps, group, channel, r)
                        # Sums of rows are added up, so that rounding doesn't grow with large windows.
                        a = b = c = d = zero
                        for at in range(first + left * LANES, first + right * LANES, LANES):
                            a, b = add(a, load(x, at)), add(b, load(x, at + 16))
                            c, d = add(c, load(x, at + 32)), add(d, load(x, at + 48))
                        sum_a, sum_b = add(sum_a, a), add(sum_b, b)
                        sum_c, sum_d = add(sum_c, c), add(sum_d, d)
                    count = splat(x.dtype.type((bottom - top) * (right - left)))
                    sum_a, sum_b = divide(sum_a, count), divide(sum_b, count)
                    sum_c, sum_d = divide(sum_c, count), divide(sum_d, count)
                    _write(y, at_y + column * LANES, sum_a, sum_b, sum_c, sum_d)


@inlined
def _clear(dx, x_steps, group, channel, image):
    zero = splat(dx.dtype.type(0))
    for row in range(image[0]):
        first = row_at(x_steps, group, channel, row)
        for at in range(first, first + image[1] * LANES, WIDTH):
            store(dx, at, zero)


@inlined
def _give(x, dx, at, highest, rest, put):
    """Give the gradient to where the maximum lies; return what remains to be given."""
    zero = splat(dx.dtype.type(0))
    value = load(x, at)
    part = choose_equal(value, highest, rest, zero)
    if not put:
        part = add(part, load(dx, at))
    store(dx, at, part)
    return choose_equal(value, highest, zero, rest)


@compiled
def highest_gradient(x, dx, x_steps, y, dy, y_steps, sizes, image, window, strides, before, add_to, tiled):
    """Give each window's gradient to its first maximum, row by row."""
    groups, channels, rows, columns = sizes
    put = tiled and not add_to
    for group in range(groups):
        for channel in range(channels):
            if not add_to and not tiled:
                _clear(dx, x_steps, group, channel, image)
            for row in range(rows):
                first_y = row_at(y_steps, group, channel, row)
                top, bottom = _bounds(row, 0, image, window, strides, before)
                for column in range(columns):
                    left, right = _bounds(column, 1, image, window, strides, before)
                    at_y = first_y + column * LANES
                    a, b, c, d = load(dy, at_y), load(dy, at_y + 16), load(dy, at_y + 32), load(dy, at_y + 48)
                    high_a, high_b = load(y, at_y), load(y, at_y + 16)
                    high_c, high_d = load(y, at_y + 32), load(y, at_y + 48)
                    for r in range(top, bottom):
                        first = row_at(x_steps, group, channel, r)
                        for at in range(first + left * LANES, first + right * LANES, LANES):
                            a = _give(x, dx, at, high_a, a, put)
                            b = _give(x, dx, at + 16, high_b, b, put)
                            c = _give(x, dx, at + 32, high_c, c, put)
                            d = _give(x, dx, at + 48, high_d, d, put)


@compiled
def average_gradient(dx, x_steps, dy, y_steps, sizes, image, window, strides, before, add_to, tiled):
    """Give each window's gradient to its numbers in equal parts."""
    groups, channels, rows, columns = sizes
    put = tiled and not add_to
    for group in range(groups):
        for channel in range(channels):
            if not add_to and not tiled:
                _clear(dx, x_steps, group, channel, image)
            for row in range(rows):
                first_y = row_at(y_steps, group, channel, row)
                top, bottom = _bounds(row, 0, image, window, strides, before)
                for column in range(columns):
                    left, right = _bounds(column, 1, image, window, strides, before)
                    count = splat(dx.dtype.type((bottom - top) * (right - left)))
                    at_y = first_y + column * LANES
                    a, b = divide(load(dy, at_y), count), divide(load(dy, at_y + 16), count)
                    c, d = divide(load(dy, at_y + 32), count), divide(load(dy, at_y + 48), count)
                    for r in range(top, bottom):
                        first = row_at(x_steps, group, channel, r)
                        for at in range(first + left * LANES, first + right * LANES, LANES):
                            if put:
                                _write(dx, at, a, b, c, d)
                            else:
                                store(dx, at, add(a, load(dx, at)))
                                store(dx, at + 16, add(b, load(dx, at + 16)))
                                store(dx, at + 32, add(c, load(dx, at + 32)))
                                store(dx, at + 48, add(d, load(dx, at + 48)))


@compiled
def whole_highest_gradient(x, dx, x_steps, y, dy, y_steps, sizes, add_to):
    """Give the gradient of each image's maximum to all places where it is found, in equal parts."""
    groups, channels, rows, length = sizes
    zero, one = splat(x.dtype.type(0)), splat(x.dtype.type(1))
    for group in range(groups):
        for channel in range(channels):
            for lane in range(0, LANES, WIDTH):
                at_y = row_at(y_steps, group, channel, 0) + lane
                high, count = load(y, at_y), zero
                for row in range(rows):
                    first = row_at(x_steps, group, channel, row) + lane
                    for at in range(first, first + length, LANES):
                        count = add(count, choose_equal(load(x, at), high, one, zero))
                share = divide(one, count)
                gradient = load(dy, at_y)
                for row in range(rows):
                    first = row_at(x_steps, group, channel, row) + lane
                    for at in range(first, first + length, LANES):
                        part = choose_equal(load(x, at), high, multiply(share, gradient), zero)
                        if add_to:
                            part = add(part, load(dx, at))
                        store(dx, at, part)
