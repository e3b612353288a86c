"""Measures loss and accuracy over a whole split, or gives its outputs; a function for it is compiled once."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.data.split import Split
from tf_lottery.training.feed import scale
from tf_lottery.training.precision import full_precision

# A constant, since the batch size can change the last bits of a convolution.
BATCH = 1000


def make_evaluate(
    model: keras.Model, loss: Callable, split: Split, xla: bool
) -> Callable[[], tuple[float, float]]:
    """Return a function that gives the mean loss and the accuracy on `split`.

    The loss doesn't include regularization. The split stays on the device.
    """
    count, batch = len(split), min(BATCH, len(split))
    batches = -(-count // batch)
    rows = np.arange(batches * batch) % count
    x = tf.constant(split.take(rows).reshape(batches, batch, *split.shape))
    y = tf.constant(split.y[rows].reshape(batches, batch))
    counted = tf.constant((np.arange(batches * batch) < count).reshape(batches, batch))

    @tf.function(jit_compile=xla)
    def sums():
        total, correct = tf.zeros((), tf.float32), tf.zeros((), tf.int32)
        for index in tf.range(batches):
            labels, real = y[index], counted[index]
            outputs = full_precision(model(scale(x[index]), training=False))
            losses = tf.cast(loss(labels, outputs), tf.float32)
            total += tf.reduce_sum(tf.where(real, losses, 0.0))
            hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), labels)
            correct += tf.reduce_sum(tf.cast(hits & real, tf.int32))
        return total, correct

    def evaluate() -> tuple[float, float]:
        total, correct = sums()
        return float(total) / count, int(correct) / count

    return evaluate


def make_outputs(model: keras.Model, split: Split, xla: bool) -> Callable[[], np.ndarray]:
    """Return a function that gives the outputs for all of `split`, with the batches of `make_evaluate`.

    The outputs are in the type in which losses are summed. Batches go to the device one after another.
    """
    count, batch = len(split), min(BATCH, len(split))

    @tf.function(jit_compile=xla)
    def of_batch(x):
        return full_precision(model(scale(x), training=False))

    def outputs() -> np.ndarray:
        firsts = range(0, count, batch)
        rows = [np.arange(first, first + batch) % count for first in firsts]
        return np.concatenate([of_batch(tf.constant(split.take(each))).numpy() for each in rows])[:count]

    return outputs
