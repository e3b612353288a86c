"""Dropout by counting: seed, step, position in the batch and feature say whether a number is kept."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tf_lottery.training.sparse.kernels.cache import compiled
from tf_lottery.training.sparse.kernels.rows import row_at
from tf_lottery.training.sparse.kernels.vector import LANES, WIDTH, add, load, multiply, splat, store


@compiled
def mixed(number):
    """Return 64 bits that depend on all bits of an uint64 (the finalizer of splitmix64)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@compiled
def drop(x, x_steps, y, y_steps, sizes, seed, step, limit, scale, add_to):
    """Compute y = x * scale for numbers that are kept and 0.0 for others, or add it.

    Args:
        x, y: Flat arrays; the gradients of outputs and inputs for the other direction.
        sizes, steps: As in `rows`.
        seed, step: Uint64 numbers.
        limit: A number is kept if its 32 bits are at least this, an uint32.
        scale: What is kept is multiplied by this.
        add_to: Whether the numbers are added to what y holds.
    """
    groups, channels, rows, length = sizes
    columns = length // LANES
    # An odd multiple of the golden ratio, as in splitmix64, tells counters apart before they are mixed.
    golden = np.uint64(0x9E3779B97F4A7C15)
    key = mixed(mixed(seed + golden) + step * golden)
    factor = splat(scale)
    for group in range(groups):
        for channel in range(channels):
            for row in range(rows):
                at_x, at_y = row_at(x_steps, group, channel, row), row_at(y_steps, group, channel, row)
                for column in range(columns):
                    feature = (channel * rows + row) * columns + column
                    bits = mixed(key + np.uint64(feature + 1) * golden)
                    low, high = np.uint32(bits), np.uint32(bits >> np.uint64(32))
                    for lane in range(0, LANES, WIDTH):
                        at = column * LANES + lane
                        vector = multiply(load(x, at_x + at), factor)
                        vector = kept(vector, np.uint32(group * LANES + lane), low, high, limit)
                        if add_to:
                            vector = add(vector, load(y, at_y + at))
                        store(y, at_y + at, vector)


@intrinsic
def kept(typing, vector, position, low, high, limit):
    """Return the elements that are kept, 0.0 for others.

    The bits of an element are those of its position in the batch and of the feature's two words, mixed by
    a hash with two multiplications (`lowbias32` of Wellons).
    """

    def generate(context, builder, signature, arguments):
        integers = ir.VectorType(ir.IntType(32), WIDTH)

        def every(number):
            value = ir.Constant(integers, ir.Undefined)
            first = builder.insert_element(value, number, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, value, ir.Constant(integers, [0] * WIDTH))

        def constant(number):
            return ir.Constant(integers, [number] * WIDTH)

        vector, position, low, high, limit = arguments
        bits = builder.add(every(position), ir.Constant(integers, list(range(WIDTH))))
        bits = builder.add(bits, every(low))
        bits = builder.xor(bits, builder.lshr(bits, constant(16)))
        bits = builder.xor(builder.mul(bits, constant(0x7FEB352D)), every(high))
        bits = builder.xor(bits, builder.lshr(bits, constant(15)))
        bits = builder.mul(bits, constant(0x846CA68B))
        bits = builder.xor(bits, builder.lshr(bits, constant(16)))
        keep = builder.icmp_unsigned(">=", bits, every(limit))
        return builder.select(keep, vector, ir.Constant(vector.type, None))

    return vector(vector, types.uint32, types.uint32, types.uint32, types.uint32), generate
