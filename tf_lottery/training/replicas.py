"""Letting several replicas train as one device would, and checking that they do."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.workers import MULTI_WORKER


def synchronize(model: keras.Model, replicas: int) -> None:
    """Let batch normalization take its statistics over the whole batch, on all replicas.

    With statistics of their own, replicas would train another network, whose moving statistics differ.
    """
    if replicas > 1:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def check_losses(model: keras.Model, replicas: int) -> None:
    """Check that a model that has been called adds no losses of its outputs, if it mustn't.

    Synchronized batch normalization makes replicas take turns in the middle of a call; what layers
    added before is lost on one of them.

    Raises:
        LotteryError: If there are several replicas, batch normalization and such a loss.
    """
    weights = sum(variable.regularizer is not None for variable in model.trainable_variables)
    normalized = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers())
    if replicas > 1 and normalized and len(model.losses) > weights:
        raise LotteryError(
            "Expected no activity regularizer or add_loss in a network with batch normalization on "
            f"{replicas} replicas, which would lose it. Received: {len(model.losses) - weights}"
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
            "Expected the same study, settings and finished runs on all workers. Received: others on another "
            "worker. Give all the same command and a directory that all see."
        )


def from_chief(strategy: tf.distribute.Strategy, step: int | None) -> int | None:
    """Return the chief's step, or None, on all workers: it alone decides where a run is resumed."""
    if strategy.num_replicas_in_sync == 1:
        return step
    number = -1 if step is None else step

    @tf.function
    def gather():
        return strategy.gather(strategy.run(lambda: tf.constant([number])), axis=0)

    found = int(gather().numpy()[0])
    return None if found < 0 else found


@contextlib.contextmanager
def one_line_if_another_ends(strategy: str) -> Iterator[None]:
    """Turn the hundred lines by which TensorFlow says that another worker is gone into one.

    Args:
        strategy: The strategy's name. Unless it is `multi_worker`, errors pass as they are.

    Raises:
        StudyError: If another worker is gone.
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
            "Expected all workers to train to the end. Received: another one that ended "
            f"({' '.join(error.message.split())[:80]}). See what it says; then repeat the command on all."
        ) from error


def make_check_replicas(
    strategy: tf.distribute.Strategy, variables: list[keras.Variable]
) -> Callable[[], None]:
    """Return a function that asserts that all replicas, of all workers, hold the same bits.

    Args:
        strategy: The strategy that the variables were made under.
        variables: Those of model, masks and optimizer.
    """

    @tf.function
    def checksums():
        def own():
            return tf.stack([_checksum(tf.convert_to_tensor(variable)) for variable in variables])[None]

        return strategy.gather(strategy.run(own), axis=0)

    def check() -> None:
        """Raise RuntimeError if a replica differs. That is a defect of ours."""
        if strategy.num_replicas_in_sync == 1:
            return
        sums = checksums().numpy()
        differing = [v.path for v, own in zip(variables, sums.T, strict=True) if (own != own[0]).any()]
        if differing:
            raise RuntimeError(f"{differing[0]} differs between replicas: please report this")

    return check


def _checksum(value: tf.Tensor) -> tf.Tensor:
    """Sum of a tensor's bits, each 32 of them times an odd number of their own."""
    if value.dtype != tf.bool:
        value = tf.bitcast(value, {1: tf.uint8, 2: tf.uint16}.get(value.dtype.size, tf.int32))
    bits = tf.reshape(tf.cast(value, tf.int32), [-1])
    return tf.reduce_sum(bits * (2 * tf.range(tf.size(bits)) + 1))
