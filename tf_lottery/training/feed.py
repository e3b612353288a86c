"""Feeds the loop the examples of each step, in chunks of batches, wherever the data lies.

A chunk is what one call of the compiled loop trains on. Small data lies on the device and
is gathered there. Data that is augmented or too big comes through a `tf.data` pipeline that
works ahead of the training. Both give the same examples in the same order.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_lottery.data.augment import Augment
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import PIXEL, Split
from tf_lottery.errors import LotteryError

# The most steps in a call. It changes no results; progress is shown and Ctrl-C noticed between calls.
STEPS_PER_CALL = 100
CHUNK_BYTES = 64 * 2**20
RESIDENT_BYTES = 4 * 2**30

Span = tuple[int, int]
Chunk = tuple[tf.Tensor, tf.Tensor]


class Feed(Protocol):
    """The interface through which the loop gets its data."""

    steps_per_call: int
    batch_size: int

    def spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """Return the shapes and types of a chunk: (steps, batch, ...) inputs, (steps, batch) labels."""

    def chunks(self, order: BatchOrder, spans: Iterable[Span]) -> Iterator[Chunk]:
        """Yield the examples of each span (first, last) of at most `steps_per_call` steps.

        A shorter span's chunk is padded with examples that must not be used.
        """


def make_feed(split: Split, batch_size: int, augment: Augment | None, pipeline: str = "auto") -> Feed:
    """Return the feed for some training data.

    Args:
        split: The training examples.
        batch_size: The number of examples in a step, over all replicas.
        augment: A function of `tf_lottery.data.augment`, or None.
        pipeline: `resident`, `stream` or `auto`, which means `stream` if the inputs are augmented, lie in a
            mapped file or take more than 4 GiB.
    """
    big = split.mapped or len(split) * split.bytes_an_example > RESIDENT_BYTES
    if augment is not None or pipeline == "stream" or (pipeline == "auto" and big):
        return Stream(split, batch_size, augment)
    return Resident(split, batch_size)


def scale(x: tf.Tensor) -> tf.Tensor:
    """Return inputs as the network takes them: float32, `uint8` scaled to [0, 1]."""
    scaled = tf.cast(x, tf.float32)
    return scaled * PIXEL if x.dtype == tf.uint8 else scaled


class Resident:
    """A feed of examples that lie on the device."""

    def __init__(self, split: Split, batch_size: int):
        self.batch_size = batch_size
        self.steps_per_call = _steps_per_call(split.bytes_an_example * batch_size)
        self._x, self._y = tf.constant(split.take(slice(None))), tf.constant(split.y)

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs, as their source has them, and labels; on a processor without copying them."""
        return np.asarray(self._x), np.asarray(self._y)

    def spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        rows = (self.steps_per_call, self.batch_size)
        return tf.TensorSpec((*rows, *self._x.shape[1:]), self._x.dtype), tf.TensorSpec(rows, tf.int32)

    def chunks(self, order: BatchOrder, spans: Iterable[Span]) -> Iterator[Chunk]:
        for first, last in spans:
            rows = tf.constant(_padded(order.batches(first, last), self.steps_per_call))
            yield tf.gather(self._x, rows), tf.gather(self._y, rows)


class Stream:
    """A feed whose `tf.data` pipeline reads and augments examples ahead of the training."""

    def __init__(self, split: Split, batch_size: int, augment: Augment | None):
        self.batch_size, self._split, self._augment = batch_size, split, augment
        self._dtype = tf.float32 if augment else tf.as_dtype(split.dtype)
        self.steps_per_call = _steps_per_call(batch_size * int(np.prod(split.shape)) * self._dtype.size)

    def spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        rows = (self.steps_per_call, self.batch_size)
        return tf.TensorSpec((*rows, *self._split.shape), self._dtype), tf.TensorSpec(rows, tf.int32)

    def chunks(self, order: BatchOrder, spans: Iterable[Span]) -> Iterator[Chunk]:
        def read():
            for first, last in spans:
                rows = _padded(order.batches(first, last), self.steps_per_call)
                yield first, self._split.take(rows), self._split.y[rows]

        x, y = self.spec()
        raw = tf.TensorSpec(x.shape, tf.as_dtype(self._split.dtype))
        chunks = tf.data.Dataset.from_generator(
            read, output_signature=(tf.TensorSpec((), tf.int32), raw, y)
        ).map(lambda first, x, y: (self._prepared(x, first, order.seed), y))
        try:
            yield from chunks.prefetch(1)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[-200:]
            raise LotteryError(
                f"data.augment must return images of the same shape for every batch, but it failed: {reason}"
            ) from error

    def _prepared(self, x: tf.Tensor, first: tf.Tensor, seed: int) -> tf.Tensor:
        if self._augment is None:
            return x
        steps = first + tf.range(self.steps_per_call)

        def of_step(argument):
            images, step = argument
            return self._augment(scale(images), tf.stack([seed, step]))

        return tf.map_fn(of_step, (x, steps), fn_output_signature=tf.TensorSpec(x.shape[1:], tf.float32))


def _steps_per_call(bytes_a_step: int) -> int:
    return max(1, min(STEPS_PER_CALL, CHUNK_BYTES // bytes_a_step))


def _padded(batches: np.ndarray, steps: int) -> np.ndarray:
    padded = np.zeros((steps, batches.shape[1]), np.int32)
    padded[: len(batches)] = batches
    return padded
