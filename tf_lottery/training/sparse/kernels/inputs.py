"""Inputs, from rows of examples to the batch-last layout: 16 features of 16 examples at once."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tf_lottery.training.sparse.kernels.cache import compiled
from tf_lottery.training.sparse.kernels.vector import LANES, WIDTH, pointer_to


@compiled
def fill(source, rows, at, scale, x, groups, x_group):
    """Write examples into the batch-last layout, scaled.

    Args:
        source: All examples as the rows of a flat array, each with as many features as `at`.
        rows: The index of the example of each lane.
        at: Where each feature lies in a group of x.
        scale: The number that each feature is multiplied by, float32.
        x: A flat array in the batch-last layout.
        groups: The number of groups of lanes.
        x_group: The distance between groups.
    """
    features = len(at)
    whole = features - features % WIDTH
    for group in range(groups):
        for lane in range(0, LANES, WIDTH):
            first = group * LANES + lane
            place = group * x_group + lane
            for feature in range(0, whole, WIDTH):
                transpose(source, rows, first, features, feature, at, scale, x, place)
            for feature in range(whole, features):
                for index in range(WIDTH):
                    value = np.float32(source[rows[first + index] * features + feature]) * scale
                    x[place + index + at[feature]] = value


@intrinsic
def transpose(typing, source, rows, first, features, feature, at, scale, x, place):
    """Write 16 features of 16 examples, from `first` and `feature` on."""

    def generate(context, builder, signature, arguments):
        source, rows, first, features, feature, at, scale, x, place = arguments
        kinds = signature.args
        element = kinds[0].dtype

        def item(array, kind, index):
            data = context.make_array(kind)(context, builder, array).data
            value = builder.load(builder.gep(data, [index], inbounds=True))
            return builder.sext(value, first.type) if value.type != first.type else value

        def plus(number, index):
            return builder.add(number, ir.Constant(first.type, index))

        vectors = []
        for index in range(WIDTH):
            row = item(rows, kinds[1], plus(first, index))
            begin = builder.add(builder.mul(row, features), feature)
            pointer = pointer_to(context, builder, kinds[0], source, begin, element)
            vectors.append(builder.load(pointer, align=element.bitwidth // 8))
        # Each round of a transposition exchanges halves: 8 by 8, 4 by 4, ...
        distance = WIDTH // 2
        while distance:
            keep = [i if not i & distance else WIDTH + i - distance for i in range(WIDTH)]
            move = [i + distance if not i & distance else WIDTH + i for i in range(WIDTH)]
            for low in range(WIDTH):
                if not low & distance:
                    pair = vectors[low], vectors[low + distance]
                    vectors[low], vectors[low + distance] = (
                        builder.shuffle_vector(
                            *pair, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), places)
                        )
                        for places in (keep, move)
                    )
            distance //= 2
        single = ir.VectorType(ir.FloatType(), WIDTH)
        factor = _splat(builder, scale)
        target = kinds[7].dtype
        for index, vector in enumerate(vectors):
            if element == types.uint8:
                vector = builder.uitofp(vector, single)
            vector = builder.fmul(vector, factor)
            if target == types.float64:
                vector = builder.fpext(vector, ir.VectorType(ir.DoubleType(), WIDTH))
            where = builder.add(place, item(at, kinds[5], plus(feature, index)))
            pointer = pointer_to(context, builder, kinds[7], x, where, target)
            builder.store(vector, pointer, align=target.bitwidth // 8)
        return context.get_dummy_value()

    intp = types.intp
    return types.void(source, rows, intp, intp, intp, at, types.float32, x, intp), generate


def _splat(builder, number):
    vector = ir.VectorType(number.type, WIDTH)
    value = ir.Constant(vector, ir.Undefined)
    for index in range(WIDTH):
        value = builder.insert_element(value, number, ir.Constant(ir.IntType(32), index))
    return value
