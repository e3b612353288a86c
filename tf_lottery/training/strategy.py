"""The `tf.distribute` strategies, by name. No other file creates one.

To add one, write a function and add a line to `STRATEGIES`.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.workers import MULTI_WORKER, this_worker


def auto() -> tf.distribute.Strategy:
    """Use all GPUs if there are several, else one device."""
    return mirrored() if len(tf.config.list_logical_devices("GPU")) > 1 else one_device()


def one_device() -> tf.distribute.Strategy:
    """Use the first GPU, or the processor."""
    kind = "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    return tf.distribute.OneDeviceStrategy(f"/{kind}:0")


def mirrored() -> tf.distribute.Strategy:
    """Use all GPUs of this machine; without a GPU, its logical CPUs: two, unless configured otherwise."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        _two_logical_cpus()
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(
        devices, cross_device_ops=None if kind == "GPU" else tf.distribute.ReductionToOneDevice()
    )


@functools.cache  # a process joins its cluster once
def multi_worker() -> tf.distribute.Strategy:
    """Use one replica for each worker of `TF_CONFIG`, or for each of its GPUs.

    It must be made before anything else runs on TensorFlow.
    """
    this_worker(MULTI_WORKER)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:  # TensorFlow has started
        raise LotteryError(
            "Expected a process of its own for training.strategy=multi_worker. Received: one in which "
            f"TensorFlow has started ({' '.join(str(error).split())[:120]})"
        ) from error


@functools.cache
def tpu() -> tf.distribute.Strategy:
    """All cores of the TPU that this machine belongs to. Untested: no TPU was at hand."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise LotteryError(
            "Expected a TPU for training.strategy=tpu. "
            f"Received: none that answers ({' '.join(str(error).split())[:120]})"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "auto": auto,
    "mirrored": mirrored,
    MULTI_WORKER: multi_worker,
    "one_device": one_device,
    "tpu": tpu,
}


def make(name: str) -> tf.distribute.Strategy:
    """Return the strategy called `name`.

    Raises:
        LotteryError: If there is no strategy of that name.
    """
    if name not in STRATEGIES:
        raise LotteryError(
            f"Expected training.strategy as one of {', '.join(STRATEGIES)}. Received: {name!r}"
        )
    return STRATEGIES[name]()


def _two_logical_cpus() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        except RuntimeError as error:  # TensorFlow has started
            raise LotteryError(
                "Without a GPU, training.strategy=mirrored needs two logical CPUs, but TensorFlow started "
                "with one. Set them before anything else runs."
            ) from error
