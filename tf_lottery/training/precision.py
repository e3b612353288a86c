"""The float types in which a network is built and its loss is summed."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Build Keras layers under a dtype policy: `float32`, `mixed_bfloat16`, `mixed_float16`, `float64`.

    Under the mixed policies variables stay float32. A layer that names its own type keeps it.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def full_precision(outputs: tf.Tensor) -> tf.Tensor:
    """Return outputs in a type in which a loss can be summed: float32, or float64 if they have it."""
    return outputs if outputs.dtype == tf.float64 else tf.cast(outputs, tf.float32)
