"""The updates of SGD and Adam, of all weights in one pass.

The parameters are cut into stretches that decay and are clipped alike. What a stretch's gradients and weights
go through is a row of `rules`: the columns are L2, DECAY, NUMERATOR, DENOMINATOR and LIMIT. Gradients are
read only. Operations and their order are those of Keras, so no more than the last bits of a power or of a
norm can differ.
"""

import numpy as np

from tf_lottery.training.sparse.kernels.cache import compiled, inlined
from tf_lottery.training.sparse.kernels.vector import (
    WIDTH,
    add,
    divide,
    flushed,
    larger,
    load,
    multiply,
    root,
    smaller,
    splat,
    store,
    subtract,
    total,
)

L2, DECAY, NUMERATOR, DENOMINATOR, LIMIT = range(5)
"""The columns of `rules`. A gradient becomes (gradient + L2 * weight) * NUMERATOR / DENOMINATOR, and lies
within -LIMIT and LIMIT if that isn't 0. A weight is first reduced by weight * DECAY * learning rate."""
COLUMNS = 5
"""The number of columns."""

_BLOCK = 64 * WIDTH


# The rule's numbers are read before a loop: within it LLVM would read them again after each store.
@inlined
def _gradient(gradients, at, weight, l2, numerator, denominator, limit):
    gradient = load(gradients, at)
    if l2 != 0:
        gradient = add(gradient, multiply(weight, splat(l2)))
    if numerator != 1 or denominator != 1:
        gradient = divide(multiply(gradient, splat(numerator)), splat(denominator))
    if limit != 0:
        gradient = smaller(larger(gradient, splat(-limit)), splat(limit))
    return gradient


@inlined
def _decayed(weight, rate, decay):
    return subtract(weight, multiply(multiply(weight, splat(decay)), splat(rate))) if decay != 0 else weight


@compiled
def descend(values, gradients, ends, rules, learning_rate):
    """Update by SGD without momentum.

    Args:
        values, gradients: Flat arrays.
        ends: Where each stretch ends: multiples of 16.
        rules: A row for each stretch.
        learning_rate: A number.
    """
    rate, first = values.dtype.type(learning_rate), 0
    for stretch in range(len(ends)):
        l2, decay, numerator, denominator, limit = rules[stretch]
        last = ends[stretch]
        for at in range(first, last, WIDTH):
            weight = load(values, at)
            gradient = _gradient(gradients, at, weight, l2, numerator, denominator, limit)
            weight = _decayed(weight, rate, decay)
            store(values, at, subtract(weight, multiply(gradient, splat(rate))))
        first = last


@compiled
def descend_with_momentum(values, gradients, momentum, ends, rules, learning_rate, factor, nesterov):
    """Update by SGD with momentum.

    Args:
        values, gradients, momentum: Flat arrays.
        ends, rules, learning_rate: As in `descend`.
        factor: What remains of the momentum in a step.
        nesterov: Whether the momentum looks ahead.
    """
    rate, factor, first = values.dtype.type(learning_rate), values.dtype.type(factor), 0
    for stretch in range(len(ends)):
        l2, decay, numerator, denominator, limit = rules[stretch]
        last = ends[stretch]
        for at in range(first, last, WIDTH):
            weight = load(values, at)
            gradient = multiply(
                _gradient(gradients, at, weight, l2, numerator, denominator, limit), splat(rate)
            )
            weight = _decayed(weight, rate, decay)
            moved = subtract(multiply(load(momentum, at), splat(factor)), gradient)
            moved = flushed(moved)
            store(momentum, at, moved)
            if nesterov:
                moved = subtract(multiply(moved, splat(factor)), gradient)
            store(values, at, add(weight, moved))
        first = last


@compiled
def adapt(values, gradients, momentum, velocity, largest, ends, rules, learning_rate, step, constants):
    """Update by Adam.

    Args:
        values, gradients, momentum, velocity: Flat arrays.
        largest: AMSGrad's largest velocities; None without AMSGrad.
        ends, rules, learning_rate: As in `descend`.
        step: The number of this step, from 1 on.
        constants: Of the arrays' type: beta 1, beta 2, 1 - beta 1, 1 - beta 2, epsilon.
    """
    one = values.dtype.type(1)
    power_1 = constants[0] ** values.dtype.type(step)
    power_2 = constants[1] ** values.dtype.type(step)
    rate, first = values.dtype.type(learning_rate), 0
    alpha = splat(rate * np.sqrt(one - power_2) / (one - power_1))
    share_1, share_2, epsilon = splat(constants[2]), splat(constants[3]), splat(constants[4])
    for stretch in range(len(ends)):
        l2, decay, numerator, denominator, limit = rules[stretch]
        last = ends[stretch]
        for at in range(first, last, WIDTH):
            weight = load(values, at)
            gradient = _gradient(gradients, at, weight, l2, numerator, denominator, limit)
            weight = _decayed(weight, rate, decay)
            m, v = load(momentum, at), load(velocity, at)
            m = flushed(add(m, multiply(subtract(gradient, m), share_1)))
            v = flushed(add(v, multiply(subtract(multiply(gradient, gradient), v), share_2)))
            store(momentum, at, m)
            store(velocity, at, v)
            if largest is not None:
                v = larger(v, load(largest, at))
                store(largest, at, v)
            store(values, at, subtract(weight, divide(multiply(m, alpha), add(root(v), epsilon))))
        first = last


@compiled
def clip_by_norm(values, gradients, ends, rules, norm, together):
    """Fill in the columns NUMERATOR and DENOMINATOR of `rules`, as they follow from the gradients' norms.

    Args:
        values, gradients: Flat arrays.
        ends: The end of each variable's part: multiples of 16.
        rules: A row for each of them.
        norm: The largest norm.
        together: Whether it is the norm of all gradients, or that of each variable's.
    """
    norm, one, zero, first = values.dtype.type(norm), values.dtype.type(1), values.dtype.type(0), 0
    whole = 0.0
    for stretch in range(len(ends)):
        square, last, l2 = 0.0, ends[stretch], rules[stretch, L2]
        # Sums of blocks are added in float64, so that the size of a part costs no accuracy.
        for begin in range(first, last, _BLOCK):
            block = splat(zero)
            for at in range(begin, min(begin + _BLOCK, last), WIDTH):
                gradient = load(gradients, at)
                if l2 != 0:
                    gradient = add(gradient, multiply(load(values, at), splat(l2)))
                block = add(block, multiply(gradient, gradient))
            square += total(block)
        first = last
        whole += square
        own = np.sqrt(values.dtype.type(square))
        rules[stretch, NUMERATOR], rules[stretch, DENOMINATOR] = norm, norm if own <= norm else own
    if together:
        own = np.sqrt(values.dtype.type(whole))
        inverse, limit = one / own, one / norm
        scale = norm * (limit if limit < inverse else inverse) + (own - own)
        rules[:, NUMERATOR], rules[:, DENOMINATOR] = scale, one
