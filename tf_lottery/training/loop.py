"""THE loop: compiled, seeded, under a strategy, from step a to step b with stops between.

Many steps run in one call of one compiled function; the data is resident on the device
and each batch is gathered by a row of an index matrix. Knows nothing of rounds.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Split
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import kernels

# Steps a call at most. It changes no bits; progress is shown and Ctrl-C heard between calls.
STEPS_PER_CALL = 100


@dataclass
class Passed:
    """What passed since the last stop."""

    steps: int = 0
    loss_sum: float = 0.0
    accuracy_sum: float = 0.0
    seconds: float = 0.0

    @property
    def loss(self) -> float:
        """Mean over the steps."""
        return self.loss_sum / self.steps

    @property
    def accuracy(self) -> float:
        """Mean over the steps."""
        return self.accuracy_sum / self.steps

    def __add__(self, later: "Passed") -> "Passed":
        return Passed(
            self.steps + later.steps,
            self.loss_sum + later.loss_sum,
            self.accuracy_sum + later.accuracy_sum,
            self.seconds + later.seconds,
        )


class Loop:
    """Trains one model on one data set; used again for any number of trainings.

    Args:
        model: prunable, built under `strategy.scope()`.
        optimizer: built, under the same scope.
        loss: `(labels, outputs) -> loss of each example`.
        train: the examples.
        batch_size: examples a step, over all replicas.
        strategy: from `tf_lottery.training.strategy`.
        xla: whether XLA compiles the steps.

    Raises:
        LotteryError: if the replicas can't share a batch evenly.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Callable,
        train: Split,
        batch_size: int,
        strategy: tf.distribute.Strategy,
        xla: bool,
    ):
        replicas = strategy.num_replicas_in_sync
        if batch_size % replicas:
            raise LotteryError(
                f"Expected training.batch_size as a multiple of {replicas}, the number of replicas. "
                f"Received: {batch_size}"
            )
        self.model, self.optimizer, self.strategy = model, optimizer, strategy
        self._batch_size = batch_size
        self._steps = self._compile(loss, tf.constant(train.x), tf.constant(train.y), xla)
        self._revived = tf.function(self._count_revived, jit_compile=xla)

    def prepare(self) -> None:
        """Trace and compile without taking a step."""
        self._call(np.empty((0, self._batch_size), np.int32))

    def run(
        self,
        first: int,
        order: BatchOrder,
        stops: Iterable[int],
        at_stop: Callable[[int, Passed], None],
        progress: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Train from step `first` to the last of the stops.

        Args:
            first: steps that the network has had already.
            order: which examples make up each step's batch.
            stops: steps at which to pause, not decreasing; one named twice is one.
            at_stop: is called there with the step and what passed since the last stop.
            progress: is called with the step after each call of the compiled function.
        """
        passed = Passed()
        step = first
        for stop in stops:
            if stop <= step:
                continue
            while step < stop:
                batches = order.batches(step, min(step + STEPS_PER_CALL, stop))
                began = time.perf_counter()
                loss, accuracy = self._call(batches)
                passed += Passed(len(batches), loss, accuracy, time.perf_counter() - began)
                step += len(batches)
                progress(step)
            at_stop(stop, passed)
            passed = Passed()

    def check_zeros(self) -> None:
        """Assert that every pruned weight is exactly 0.0 in the stored variable.

        Raises:
            RuntimeError: if one isn't. That is a defect of ours.
        """
        revived = int(self._revived())
        if revived:
            raise RuntimeError(f"{revived} pruned weights are not 0.0: please report this")

    def _call(self, batches: np.ndarray) -> tuple[float, float]:
        padded = np.zeros((STEPS_PER_CALL, self._batch_size), np.int32)
        padded[: len(batches)] = batches
        loss, accuracy = self._steps(tf.constant(padded), tf.constant(len(batches)))
        return float(loss), float(accuracy)

    def _compile(self, loss: Callable, x: tf.Tensor, y: tf.Tensor, xla: bool) -> Callable:
        model, optimizer, strategy = self.model, self.optimizer, self.strategy
        replicas = strategy.num_replicas_in_sync
        share = self._batch_size // replicas
        trainable = model.trainable_variables

        def step(batch):
            if replicas > 1:
                replica = tf.distribute.get_replica_context().replica_id_in_sync_group
                batch = tf.gather(batch, tf.range(share) + replica * share)
            labels = tf.gather(y, batch)
            with tf.GradientTape() as tape:
                outputs = model(tf.gather(x, batch), training=True)
                mean = tf.reduce_mean(loss(labels, outputs))
                # The optimizer sums over replicas.
                total = tf.add_n([mean, *(tf.cast(extra, mean.dtype) for extra in model.losses)]) / replicas
            optimizer.apply(tape.gradient(total, trainable), trainable)
            hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), labels)
            return mean / replicas, tf.reduce_mean(tf.cast(hits, tf.float32)) / replicas

        @tf.function(jit_compile=xla)
        def steps(batches, count):
            loss_sum, accuracy_sum = tf.zeros(()), tf.zeros(())
            index = tf.constant(0)
            while index < count:  # over tf.range, XLA would compile again for each count
                if replicas > 1:
                    results = strategy.run(step, args=(batches[index],))
                    mean, accuracy = (strategy.reduce("SUM", result, axis=None) for result in results)
                else:
                    mean, accuracy = step(batches[index])
                loss_sum += tf.cast(mean, tf.float32)
                accuracy_sum += accuracy
                index += 1
            return loss_sum, accuracy_sum

        return steps

    def _count_revived(self) -> tf.Tensor:
        revived = [
            tf.reduce_sum(tf.cast(tf.logical_and(tf.not_equal(k, 0), tf.logical_not(m)), tf.int32))
            for k, m in (
                (tf.convert_to_tensor(k), tf.convert_to_tensor(m)) for k, m in kernels(self.model).values()
            )
        ]
        return tf.add_n(revived)
