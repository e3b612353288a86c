"""Batch normalization, with what follows it in a residual block: the other branch, ReLU.

A channel is finished before the next is begun, so that later passes over it read from the cache. Sums are
taken over blocks of at most a few thousand numbers, and blocks are combined in float64. `sizes` and `steps`
are as in `rows`.
"""

import math

from tf_lottery.training.sparse.kernels.cache import compiled, inlined
from tf_lottery.training.sparse.kernels.rows import row_at
from tf_lottery.training.sparse.kernels.vector import (
    LANES,
    WIDTH,
    add,
    fma,
    load,
    multiply,
    not_negative,
    splat,
    store,
    subtract,
    total,
    where_positive,
)

_BLOCK = 4096


@inlined
def _sum(a, b, c, d):
    return total(add(add(a, b), add(c, d)))


@compiled
def moments(x, x_steps, channel, sizes, live):
    """Return the mean and the biased variance of a channel, of the lanes that hold examples."""
    groups, _, rows, length = sizes
    height = max(1, _BLOCK // length)
    zero = splat(x.dtype.type(0))
    count, mean, squares = 0.0, 0.0, 0.0
    for group in range(groups):
        lane = group * LANES
        a, b, c, d = load(live, lane), load(live, lane + 16), load(live, lane + 32), load(live, lane + 48)
        lanes = _sum(a, b, c, d)
        if lanes == 0:
            continue
        for top in range(0, rows, height):
            bottom = min(top + height, rows)
            number = float(lanes) * (bottom - top) * (length // LANES)
            p = q = r = s = zero
            for row in range(top, bottom):
                first = row_at(x_steps, group, channel, row)
                for at in range(first, first + length, LANES):
                    p, q = fma(load(x, at), a, p), fma(load(x, at + 16), b, q)
                    r, s = fma(load(x, at + 32), c, r), fma(load(x, at + 48), d, s)
            center = _sum(p, q, r, s) / number
            middle = splat(x.dtype.type(center))
            p = q = r = s = zero
            for row in range(top, bottom):
                first = row_at(x_steps, group, channel, row)
                for at in range(first, first + length, LANES):
                    e, f = subtract(load(x, at), middle), subtract(load(x, at + 16), middle)
                    g, h = subtract(load(x, at + 32), middle), subtract(load(x, at + 48), middle)
                    p, q = fma(multiply(e, a), e, p), fma(multiply(f, b), f, q)
                    r, s = fma(multiply(g, c), g, r), fma(multiply(h, d), h, s)
            # Chan's formula for the moments of two sets together.
            difference = center - mean
            both = count + number
            squares += _sum(p, q, r, s) + difference * difference * count * number / both
            mean += difference * number / both
            count = both
    return mean, squares / count


@compiled
def normalize(
    x,
    x_steps,
    y,
    y_steps,
    other,
    other_steps,
    sizes,
    live,
    gamma,
    beta,
    moving,
    batch,
    constants,
    training,
    relu,
):
    """Compute gamma * (x - mean) / sqrt(variance + epsilon) + beta, plus `other`, with ReLU or without.

    Args:
        other: What is added; None for nothing.
        live: 1.0 for each lane that holds an example, else 0.0.
        gamma, beta: One number for each channel.
        moving: The moving means and variances, which are changed in training.
        batch: Means and 1 / sqrt(variance + epsilon) that this batch is normalized with, which are written.
        constants: Momentum, 1 - momentum, epsilon.
        training: Whether the batch's own statistics are used.
        relu: Whether negative outputs become 0.0.
    """
    groups, channels, rows, length = sizes
    momentum, rest, epsilon = constants
    for channel in range(channels):
        mean, variance = moving[0][channel], moving[1][channel]
        if training:
            exact_mean, exact_variance = moments(x, x_steps, channel, sizes, live)
            mean, variance = x.dtype.type(exact_mean), x.dtype.type(exact_variance)
            moving[0][channel] = moving[0][channel] * momentum + mean * rest
            moving[1][channel] = moving[1][channel] * momentum + variance * rest
        inverse = x.dtype.type(1) / math.sqrt(variance + epsilon)
        batch[0][channel], batch[1][channel] = mean, inverse
        middle, scale, shift = splat(mean), splat(gamma[channel] * inverse), splat(beta[channel])
        for group in range(groups):
            for row in range(rows):
                at_x, at_y = row_at(x_steps, group, channel, row), row_at(y_steps, group, channel, row)
                at_other = row_at(other_steps, group, channel, row)
                for at in range(0, length, WIDTH):
                    value = fma(subtract(load(x, at_x + at), middle), scale, shift)
                    if other is not None:
                        value = add(value, load(other, at_other + at))
                    if relu:
                        value = not_negative(value)
                    store(y, at_y + at, value)


@compiled
def normalize_gradient(
    x, dx, x_steps, y, dy, y_steps, other, other_steps, sizes, live, gamma, batch, gradients, relu, adds
):
    """Compute the gradients of gamma, beta, x and what was added, from that of the outputs, which is lost.

    Args:
        dx: The gradient of x; None if it isn't needed.
        other: The gradient of what was added; None if nothing was, or if it isn't needed.
        gradients: Those of gamma and beta, which are written.
        adds: Whether the gradients of x and `other` are added to what is there.
    """
    groups, channels, rows, length = sizes
    kind = x.dtype.type
    count = 0.0
    for lane in range(groups * LANES):
        count += live[lane]
    count *= rows * (length // LANES)
    for channel in range(channels):
        mean, inverse = batch[0][channel], batch[1][channel]
        middle = splat(mean)
        sums, products = 0.0, 0.0
        for group in range(groups):
            for row in range(rows):
                places = (
                    row_at(x_steps, group, channel, row),
                    row_at(y_steps, group, channel, row),
                    row_at(other_steps, group, channel, row),
                )
                part, product = _sums(x, y, dy, other, places, length, middle, relu, adds[1])
                sums += part
                products += product
        gradients[0][channel] = kind(products * inverse)
        gradients[1][channel] = kind(sums)
        if dx is None:
            continue
        scale = gamma[channel] * inverse
        level = splat(kind(sums / count))
        slope = splat(kind(products / count * inverse * inverse))
        factor = splat(scale)
        for group in range(groups):
            for row in range(rows):
                at_x, at_y = row_at(x_steps, group, channel, row), row_at(y_steps, group, channel, row)
                for at in range(0, length, WIDTH):
                    gradient = subtract(load(dy, at_y + at), level)
                    offset = subtract(load(x, at_x + at), middle)
                    gradient = multiply(subtract(gradient, multiply(offset, slope)), factor)
                    gradient = multiply(gradient, load(live, group * LANES + at % LANES))
                    if adds[0]:
                        gradient = add(gradient, load(dx, at_x + at))
                    store(dx, at_x + at, gradient)


@inlined
def _sums(x, y, dy, other, places, length, middle, relu, add_to):
    """Return the sums of a row's gradients and of their products with x - mean, and hand the gradients on."""
    at_x, at_y, at_other = places
    zero = splat(x.dtype.type(0))
    p = q = r = s = zero
    for at in range(0, length, 2 * WIDTH):
        first, second = load(dy, at_y + at), load(dy, at_y + at + WIDTH)
        if relu:
            first = where_positive(load(y, at_y + at), first)
            second = where_positive(load(y, at_y + at + WIDTH), second)
            store(dy, at_y + at, first)
            store(dy, at_y + at + WIDTH, second)
        if other is not None:
            _hand(other, at_other + at, first, add_to)
            _hand(other, at_other + at + WIDTH, second, add_to)
        p, q = add(p, first), add(q, second)
        r = fma(first, subtract(load(x, at_x + at), middle), r)
        s = fma(second, subtract(load(x, at_x + at + WIDTH), middle), s)
    return total(add(p, q)), total(add(r, s))


@inlined
def _hand(other, at, gradient, add_to):
    if add_to:
        gradient = add(gradient, load(other, at))
    store(other, at, gradient)
