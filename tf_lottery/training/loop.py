"""The training loop: compiled and seeded, it trains from one step to another and pauses for stops.

Many steps run in one call of one compiled function. The loop knows nothing of rounds.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import kernels
from tf_lottery.layers.masking import masked_slots_promised
from tf_lottery.training.feed import Feed, scale
from tf_lottery.training.learning_rates import Rates
from tf_lottery.training.observe import Passed
from tf_lottery.training.optimizers import l2_penalty
from tf_lottery.training.pace import Span, Sums, pace
from tf_lottery.training.precision import full_precision
from tf_lottery.training.randomness import cheap_random, shared_random
from tf_lottery.training.replicas import make_check_replicas, synchronize
from tf_lottery.training.stop import Stop


class Loop:
    """Trains one model on one feed, for any number of trainings.

    Args:
        model: The prunable model, built under `strategy.scope()`.
        optimizer: The model's optimizer, built under the same scope. It must also be `model.optimizer` if
            masks are to change, since its slots are masked with them.
        loss: A function `(labels, outputs) -> loss of each example`.
        feed: The feed of training examples.
        strategy: A strategy of `tf_lottery.training.strategy`.
        xla: Whether XLA compiles the steps.
        learning_rates: A function from steps to their learning rates; None leaves the optimizer's rate alone.
        l2: The weight decay of kernels that is part of the loss.

    Raises:
        LotteryError: If the batch can't be shared evenly among the replicas.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Callable,
        feed: Feed,
        strategy: tf.distribute.Strategy,
        xla: bool,
        learning_rates: Rates | None = None,
        l2: float = 0.0,
    ):
        replicas = strategy.num_replicas_in_sync
        if feed.batch_size % replicas:
            raise LotteryError(
                f"Expected training.batch_size as a multiple of {replicas}, the number of replicas. "
                f"Received: {feed.batch_size}"
            )
        self.model, self.optimizer, self.strategy = model, optimizer, strategy
        self._feed, self._xla, self._learning_rates = feed, xla, learning_rates
        synchronize(model, replicas)
        self._steps = self._compile(loss, l2)
        self._revived = tf.function(self._count_revived, jit_compile=xla)
        self._check_replicas = make_check_replicas(strategy, [*model.variables, *optimizer.variables])

    def prepare(self) -> None:
        """Trace and compile without taking a step."""
        x, y = (tf.zeros(spec.shape, spec.dtype) for spec in self._feed.spec())
        self._steps(x, y, self._rates(0, 0), tf.constant(0))

    def run(
        self,
        first: int,
        last: int,
        order: BatchOrder,
        stops: Sequence[Stop] = (),
        passed: Passed | None = None,
    ) -> None:
        """Train from step `first` to step `last`.

        Args:
            first: The number of steps that the network has had already.
            last: The last step.
            order: The order that decides which examples make up each step's batch.
            stops: The stops that the training pauses for, in the order in which they act.
            passed: What had passed since the last planned pause when the training was interrupted.
        """

        def calls(spans: list[Span]) -> Iterator[Sums]:
            for (start, end), (x, y) in zip(spans, self._feed.chunks(order, spans), strict=True):
                sums = self._steps(x, y, self._rates(start, end), tf.constant(end - start))
                yield partial(_numbers, sums)

        pace(first, last, stops, passed, self._feed.steps_per_call, calls)

    def check(self) -> None:
        """Assert that pruned weights are exactly 0.0, weights are finite, and replicas agree bit for bit.

        Replicas are compared by their weights, masks and optimizer state.

        Raises:
            RuntimeError: If a pruned weight isn't 0.0 or replicas differ, which is a bug in tf_lottery.
            LotteryError: If a weight is NaN or infinite.
        """
        self._check_replicas()
        revived, infinite = self._revived().numpy().tolist()
        if infinite:
            raise LotteryError(
                f"The training diverged: {infinite} weights are NaN or infinite. Lower "
                "training.learning_rate, or use another optimizer."
            )
        if revived:
            raise RuntimeError(f"{revived} pruned weights are not 0.0: please report this")

    def _rates(self, first: int, last: int) -> tf.Tensor:
        rates = np.zeros(self._feed.steps_per_call, np.float32)
        if self._learning_rates:
            rates[: last - first] = self._learning_rates(np.arange(first, last))
        return tf.constant(rates)

    def _compile(self, loss: Callable, l2: float) -> Callable:
        model, optimizer, strategy = self.model, self.optimizer, self.strategy
        replicas = strategy.num_replicas_in_sync
        share = self._feed.batch_size // replicas
        trainable = model.trainable_variables

        def step(x, labels):
            randomness = cheap_random() if self._xla and _on_cpu() else contextlib.nullcontext()
            if replicas > 1:
                first = _replica() * share
                x, labels = (whole[first : first + share] for whole in (x, labels))
                x, labels = tf.ensure_shape(x, (share, *x.shape[1:])), tf.ensure_shape(labels, (share,))
            with randomness, tf.GradientTape() as tape:
                outputs = full_precision(model(scale(x), training=True))
                mean = tf.reduce_mean(loss(labels, outputs))
                extra = [*model.losses, *l2_penalty(trainable, l2)]
                # The optimizer sums over replicas.
                total = tf.add_n([mean, *(tf.cast(value, mean.dtype) for value in extra)]) / replicas
                total = optimizer.scale_loss(total)  # changes nothing unless the optimizer unscales gradients
            gradients = tape.gradient(total, trainable)
            # Replicas are traced in turns, so attributes of the variables aren't changed there.
            with contextlib.nullcontext() if replicas > 1 else masked_slots_promised(trainable):
                optimizer.apply(gradients, trainable)
            hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), labels)
            accuracy = tf.reduce_mean(tf.cast(hits, tf.float32))
            return tf.stack([tf.cast(mean, tf.float32), accuracy]) / replicas

        @tf.function(jit_compile=self._xla)
        def steps(x, labels, rates, count):
            # Sums of float32 are exact in float64, so it doesn't matter where calls begin and end.
            sums, index = tf.zeros(2, tf.float64), tf.constant(0)
            while index < count:  # with tf.range, XLA would compile again for each count
                if self._learning_rates:
                    optimizer.learning_rate.assign(rates[index])
                if replicas > 1:
                    with shared_random(replicas, share, _replica):
                        parts = strategy.run(step, (x[index], labels[index]))
                    passed = strategy.reduce("SUM", parts, axis=None)
                else:
                    passed = step(x[index], labels[index])
                sums += tf.cast(passed, tf.float64)
                index += 1
            return sums

        return steps

    def _count_revived(self) -> tf.Tensor:
        revived = [
            tf.reduce_sum(tf.cast(tf.logical_and(tf.not_equal(k, 0), tf.logical_not(m)), tf.int32))
            for k, m in (
                (tf.convert_to_tensor(k), tf.convert_to_tensor(m)) for k, m in kernels(self.model).values()
            )
        ]
        infinite = [
            tf.reduce_sum(tf.cast(tf.logical_not(tf.math.is_finite(weights)), tf.int32))
            for weights in map(tf.convert_to_tensor, self.model.trainable_variables)
        ]
        return tf.stack([tf.add_n(revived), tf.add_n(infinite)])


def _replica() -> tf.Tensor:
    """Return the index of the replica that is being traced."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def _on_cpu() -> bool:
    return not tf.config.list_logical_devices("GPU") and not tf.config.list_logical_devices("TPU")


def _numbers(sums: tf.Tensor) -> tuple[float, float]:
    return tuple(sums.numpy().tolist())
