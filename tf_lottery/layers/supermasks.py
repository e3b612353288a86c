"""The kinds of supermasks: how trained scores decide which weights of a network that isn't trained are used.

To add one, write its functions and add a line to `SUPERMASKS`; if the density is learned, add its name to
`tf_lottery.method.strong.LEARNED`, too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_lottery.method.recipe import Supermask
from tf_lottery.pruning.scopes import Kept

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Kind:
    """What makes a kind of supermask.

    Attributes:
        first: Function of a kernel's shape and a generator that returns the scores at first, float64.
        soft: Function of a kernel's scores, to whose value the gradient of the mask passes straight through.
        hard: Function of kernel path -> scores, the settings and the counts of weights that returns kernel
            path -> what each weight is multiplied by, in the scores' type: 0 if it is pruned, else 1 or -1.
        drawn: Function of a kernel's scores and of as many uniform numbers in [0, 1) that returns what its
            weights are multiplied by in a training step. Default: what `hard` returns.
        constant: Whether kernels always have one size a layer.
    """

    first: Callable[[Sequence[int], np.random.Generator], np.ndarray]
    soft: Callable[[tf.Tensor], tf.Tensor]
    hard: Callable[[Tensors, Supermask, Kept], dict[str, tf.Tensor]]
    drawn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    constant: bool = False


def kaiming_uniform(shape: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """Return scores between -b and b, b = 1 / sqrt(inputs of a unit), as edge-popup's code draws them."""
    bound = 1 / math.sqrt(max(1, math.prod(shape[:-1])))
    return generator.uniform(-bound, bound, shape)


def glorot_uniform(shape: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """Return scores between -b and b, b = sqrt(6 / (inputs + outputs of a unit))."""
    inputs, outputs = math.prod(shape[:-1]), math.prod((*shape[:-2], shape[-1]))
    bound = math.sqrt(6 / max(1, inputs + outputs))
    return generator.uniform(-bound, bound, shape)


def zeros(shape: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """Return scores of 0, so that each weight is used in half of the steps."""
    return np.zeros(shape)


def highest(scores: Tensors, supermask: Supermask, counts: Kept) -> dict[str, tf.Tensor]:
    """Keep the weights with the highest absolute scores, so many in each group of layers.

    Counts are exact. Among equals the higher index stays, as in `pruning.select.keep`.
    """
    masks = {path: tf.ones_like(value) for path, value in scores.items()}
    for paths, count in counts.items():
        flat = tf.concat([tf.reshape(tf.abs(scores[path]), [-1]) for path in paths], 0)
        sizes = [math.prod(scores[path].shape) for path in paths]
        for path, part in zip(paths, tf.split(largest(flat, count), sizes), strict=True):
            masks[path] = tf.cast(tf.reshape(part, scores[path].shape), scores[path].dtype)
    return masks


def likelier(scores: Tensors, supermask: Supermask, counts: Kept) -> dict[str, tf.Tensor]:
    """Keep the weights that a draw would use more often than not: sigmoid(score) > 0.5."""
    return {path: tf.cast(value > 0, value.dtype) for path, value in scores.items()}


def signs(scores: Tensors, supermask: Supermask, counts: Kept) -> dict[str, tf.Tensor]:
    """Keep a weight whose score is above the threshold, invert one below its negative, else prune it."""
    return {
        path: tf.cast(value > supermask.threshold, value.dtype)
        - tf.cast(value < -supermask.threshold, value.dtype)
        for path, value in scores.items()
    }


def bernoulli(scores: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Use each weight with the probability sigmoid(score)."""
    return tf.cast(tf.cast(numbers, scores.dtype) < tf.sigmoid(scores), scores.dtype)


SUPERMASKS: dict[str, Kind] = {
    "edge_popup": Kind(kaiming_uniform, tf.abs, highest),  # Ramanujan et al. 2020
    "learned": Kind(zeros, tf.sigmoid, likelier, drawn=bernoulli),  # Zhou et al. 2019
    "signed": Kind(glorot_uniform, tf.identity, signs, constant=True),  # Koster et al. 2022
}
"""The values that `supermask.kind` may have."""


def largest(values: tf.Tensor, count: int) -> tf.Tensor:
    """Return where the `count` largest of some numbers are, exactly; among equals the last ones.

    The bits of floats that aren't negative are ordered as the floats are. So the least of the numbers that
    stay is found bit by bit, in as many passes, where sorting would cost many times more in each step.

    Args:
        values: Numbers of at least 0, in one dimension, float32 or float64.
        count: How many to choose, from 0 to all.
    """
    integers = tf.int64 if values.dtype == tf.float64 else tf.int32
    bits, size = tf.bitcast(values, integers), int(values.shape[0])
    least = _greatest(lambda bound: _number(bits >= bound) >= count, integers)
    above, equal = bits > least, tf.equal(bits, least)
    lacking, index = count - _number(above), tf.range(size)
    start = _greatest(lambda bound: _number(equal & (index >= bound)) >= lacking, tf.int32, size.bit_length())
    return above | (equal & (index >= start))


def _greatest(holds: Callable[[tf.Tensor], tf.Tensor], dtype: tf.DType, bits: int | None = None) -> tf.Tensor:
    """Return the greatest integer of so many bits for which a condition holds that holds for smaller ones."""
    bits = bits or dtype.size * 8 - 1

    def body(bit, found):
        bound = found | tf.bitwise.left_shift(tf.ones((), dtype), tf.cast(bit, dtype))
        return bit - 1, tf.where(holds(bound), bound, found)

    start = tf.constant(bits - 1), tf.zeros((), dtype)
    return tf.while_loop(lambda bit, _: bit >= 0, body, start, maximum_iterations=bits)[1]


def _number(where: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(where, tf.int32))
