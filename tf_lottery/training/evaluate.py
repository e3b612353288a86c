"""Loss and accuracy over a whole split, compiled once."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.data.split import Split

# A constant, since the batch size can change the last bits of a convolution.
BATCH = 1000


def make_evaluate(
    model: keras.Model, loss: Callable, split: Split, xla: bool
) -> Callable[[], tuple[float, float]]:
    """Return a function that gives the mean loss and the accuracy on `split`.

    Regularization isn't part of the loss. The split stays on the device.
    """
    count, batch = len(split), min(BATCH, len(split))
    batches = -(-count // batch)
    padding = batches * batch - count
    x = tf.constant(np.concatenate([split.x, split.x[:padding]]))
    y = tf.constant(np.concatenate([split.y, split.y[:padding]]))
    counted = tf.constant(np.arange(batches * batch) < count)

    @tf.function(jit_compile=xla)
    def sums():
        total, correct = tf.zeros((), tf.float32), tf.zeros((), tf.int32)
        for index in tf.range(batches):
            part = tf.range(batch) + index * batch
            labels, real = tf.gather(y, part), tf.gather(counted, part)
            outputs = tf.cast(model(tf.gather(x, part), training=False), tf.float32)
            total += tf.reduce_sum(tf.where(real, loss(labels, outputs), 0.0))
            hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), labels)
            correct += tf.reduce_sum(tf.cast(hits & real, tf.int32))
        return total, correct

    def evaluate() -> tuple[float, float]:
        total, correct = sums()
        return float(total) / count, int(correct) / count

    return evaluate
