"""THE loop: compiled, seeded, under a strategy, from step a to step b with stops between.

Many steps run in one call of one compiled function. Knows nothing of rounds.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import kernels
from tf_lottery.layers.masking import masked_slots_promised
from tf_lottery.training.feed import Feed, Span, scale
from tf_lottery.training.learning_rates import Rates
from tf_lottery.training.optimizers import l2_penalty
from tf_lottery.training.precision import full_precision
from tf_lottery.training.randomness import cheap_random, shared_random
from tf_lottery.training.replicas import make_check_replicas, synchronize


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
    """Trains one model on one feed; used again for any number of trainings.

    Args:
        model: prunable, built under `strategy.scope()`.
        optimizer: built, under the same scope; `model.optimizer` too if masks are to change,
            since its slots must be masked with them.
        loss: `(labels, outputs) -> loss of each example`.
        feed: of the training examples.
        strategy: from `tf_lottery.training.strategy`.
        xla: whether XLA compiles the steps.
        learning_rates: from steps to their rates; None leaves the optimizer's as it is.
        l2: weight decay in the loss, of kernels.

    Raises:
        LotteryError: if the replicas can't share a batch evenly.
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
        order: BatchOrder,
        stops: Iterable[int],
        at_stop: Callable[[int, Passed], None],
        progress: Callable[[int], None] = lambda step: None,
        due: Callable[[int], bool] = lambda step: False,
        at_checkpoint: Callable[[int, Passed], None] = lambda step, passed: None,
        passed: Passed | None = None,
    ) -> None:
        """Train from step `first` to the last of the stops.

        A training that goes on from a checkpoint gets the same bits, sums of the losses
        included: checkpoints are made between calls, which they don't shorten.

        Args:
            first: steps that the network has had already.
            order: which examples make up each step's batch.
            stops: steps at which to pause, not decreasing; one named twice is one.
            at_stop: is called there with the step and what passed since the last stop.
            progress: is called with the step after each call of the compiled function.
            due: is asked after each call whether a checkpoint is due.
            at_checkpoint: is called then, after a stop, with the step and what passed since the last.
            passed: what had passed since the last stop when the training was left off.
        """
        stops = [stop for stop in dict.fromkeys(stops) if stop > first]
        at, calls, passed, began = set(stops), [], passed or Passed(), time.perf_counter()
        spans = list(_spans(first, stops, self._feed.steps_per_call))
        for (start, end), (x, y) in zip(spans, self._feed.chunks(order, spans), strict=True):
            calls.append((end - start, self._steps(x, y, self._rates(start, end), tf.constant(end - start))))
            keeping = due(end)
            # One call stays in flight: an accelerator computes while the next batches are prepared.
            while len(calls) > (end not in at and not keeping):
                steps, sums = calls.pop(0)
                passed += Passed(steps, *sums.numpy().tolist())
            progress(end)
            if end not in at and not keeping:
                continue
            passed.seconds += time.perf_counter() - began
            if end in at:
                at_stop(end, passed)
                passed = Passed()
            if keeping:
                at_checkpoint(end, passed)
            began = time.perf_counter()

    def check(self) -> None:
        """Assert that every pruned weight is exactly 0.0 in the stored variable, and that all
        replicas hold the same weights, masks and optimizer state, bit for bit.

        Raises:
            RuntimeError: if not. That is a defect of ours.
            LotteryError: if a weight is NaN or infinite.
        """
        self._check_replicas()
        revived, infinite = self._revived().numpy().tolist()
        if infinite:
            raise LotteryError(
                f"Expected finite weights. Received: NaN or infinity in {infinite} of them, the training "
                "diverged. Lower training.learning_rate, or take another optimizer."
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
                total = optimizer.scale_loss(total)  # as it is, unless the optimizer divides gradients
            gradients = tape.gradient(total, trainable)
            # Replicas are traced in turns: what is the variables' isn't changed there.
            with contextlib.nullcontext() if replicas > 1 else masked_slots_promised(trainable):
                optimizer.apply(gradients, trainable)
            hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), labels)
            accuracy = tf.reduce_mean(tf.cast(hits, tf.float32))
            return tf.stack([tf.cast(mean, tf.float32), accuracy]) / replicas

        @tf.function(jit_compile=self._xla)
        def steps(x, labels, rates, count):
            # In float64 sums of float32 are exact, so it doesn't matter where calls begin and end.
            sums, index = tf.zeros(2, tf.float64), tf.constant(0)
            while index < count:  # over tf.range, XLA would compile again for each count
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
    """Index of the replica that is being traced."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def _on_cpu() -> bool:
    return not tf.config.list_logical_devices("GPU") and not tf.config.list_logical_devices("TPU")


def _spans(first: int, stops: Iterable[int], length: int) -> Iterator[Span]:
    """Cut the steps between stops into spans of at most `length`."""
    for stop in stops:
        while first < stop:
            last = min(first + length, stop)
            yield first, last
            first = last
