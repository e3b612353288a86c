"""The float types that a network is built in and its loss is summed in."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Build Keras layers under a dtype policy: `float32`, `mixed_bfloat16`, `mixed_float16`, `float64`.

    Under the mixed ones variables stay float32; layers that name a type of their own keep it.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def full_precision(outputs: tf.Tensor) -> tf.Tensor:
    """Return outputs in which a loss can be summed: float32, or float64 as they are."""
    return outputs if outputs.dtype == tf.float64 else tf.cast(outputs, tf.float32)
