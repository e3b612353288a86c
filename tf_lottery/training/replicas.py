"""Makes several replicas train as one device would, and checks that they do."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.workers import MULTI_WORKER


def synchronize(model: keras.Model, replicas: int) -> None:
    """Make batch normalization compute its statistics over the whole batch, across all replicas.

    With statistics of their own, the replicas would train a different network, with moving statistics that
    differ between them.
    """
    if replicas > 1:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def check_losses(model: keras.Model, replicas: int) -> None:
    """Check that a model, once called, adds no losses of its outputs where these would get lost.

    Synchronized batch normalization makes replicas take turns in the middle of a call; what layers
    added before is lost on one of them.

    Raises:
        LotteryError: If there are several replicas, batch normalization and such a loss.
    """
    weights = sum(variable.regularizer is not None for variable in model.trainable_variables)
    normalized = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers())
    if replicas > 1 and normalized and len(model.losses) > weights:
        raise LotteryError(
            "Expected no activity regularizer or add_loss in a network with batch normalization, since it "
            f"would get lost on {replicas} replicas. Received: {len(model.losses) - weights}"
        )


def check_agreement(strategy: tf.distribute.Strategy, what: str) -> None:
    """Check that all workers are about to do the same.

    Args:
        strategy: The strategy that they share.
        what: What this worker is about to do, such as the key of a run.

    Raises:
        StudyError: If another worker named something else.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    digest = np.frombuffer(hashlib.sha256(what.encode()).digest(), np.int32)

    @tf.function
    def gather():
        return strategy.gather(strategy.run(lambda: tf.constant(digest)[None]), axis=0)

    if (gather().numpy() != digest).any():
        raise StudyError(
            "Another worker has a different study, settings or finished runs. Give all workers the same "
            "command and a directory that all can see."
        )


def from_chief(strategy: tf.distribute.Strategy, step: int | None) -> int | None:
    """Return the chief's step, or None, on all workers: the chief alone decides where a run is resumed."""
    if strategy.num_replicas_in_sync == 1:
        return step
    number = -1 if step is None else step

    @tf.function
    def gather():
        return strategy.gather(strategy.run(lambda: tf.constant([number])), axis=0)

    chief_step = int(gather().numpy()[0])
    return None if chief_step < 0 else chief_step


@contextlib.contextmanager
def one_line_if_another_ends(strategy: str) -> Iterator[None]:
    """Turn TensorFlow's hundred lines about another worker's end into one.

    Args:
        strategy: The strategy's name. Unless it is `multi_worker`, errors pass as they are.

    Raises:
        StudyError: If another worker has ended.
    """
    try:
        yield
    except (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
        tf.errors.UnavailableError,
    ) as error:
        if strategy != MULTI_WORKER:
            raise
        raise StudyError(
            f"Another worker has ended ({' '.join(error.message.split())[:80]}). See its own message, "
            "then repeat the command on all workers."
        ) from error


def make_check_replicas(
    strategy: tf.distribute.Strategy, variables: list[keras.Variable]
) -> Callable[[], None]:
    """Return a function that asserts that all replicas, of all workers, hold the same bits.

    Args:
        strategy: The strategy that the variables were made under.
        variables: The variables of the model, the masks and the optimizer.
    """

    @tf.function
    def checksums():
        def own():
            return tf.stack([_checksum(tf.convert_to_tensor(variable)) for variable in variables])[None]

        return strategy.gather(strategy.run(own), axis=0)

    def check() -> None:
        """Raise RuntimeError if a replica differs. That would be a bug in this package."""
        if strategy.num_replicas_in_sync == 1:
            return
        sums = checksums().numpy()
        differing = [v.path for v, own in zip(variables, sums.T, strict=True) if (own != own[0]).any()]
        if differing:
            raise RuntimeError(f"{differing[0]} differs between replicas: please report this")

    return check


def _checksum(value: tf.Tensor) -> tf.Tensor:
    """Return the sum of a tensor's bits as integers, each multiplied by an odd number of its own."""
    if value.dtype != tf.bool:
        value = tf.bitcast(value, {1: tf.uint8, 2: tf.uint16}.get(value.dtype.size, tf.int32))
    bits = tf.reshape(tf.cast(value, tf.int32), [-1])
    return tf.reduce_sum(bits * (2 * tf.range(tf.size(bits)) + 1))
