"""Names to `tf.distribute` strategies. Nobody else names one.

A further one (`tpu`, `multi_worker`) is a function and a line in `STRATEGIES`.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_lottery.errors import LotteryError


def auto() -> tf.distribute.Strategy:
    """All GPUs if there are several, else one device."""
    return mirrored() if len(tf.config.list_logical_devices("GPU")) > 1 else one_device()


def one_device() -> tf.distribute.Strategy:
    """The first GPU, or the processor."""
    kind = "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    return tf.distribute.OneDeviceStrategy(f"/{kind}:0")


def mirrored() -> tf.distribute.Strategy:
    """All GPUs of this machine; without a GPU, its logical CPUs, of which it makes two."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        _two_logical_cpus()
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(
        devices, cross_device_ops=None if kind == "GPU" else tf.distribute.ReductionToOneDevice()
    )


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "auto": auto,
    "mirrored": mirrored,
    "one_device": one_device,
}


def make(name: str) -> tf.distribute.Strategy:
    """Return the strategy called `name`.

    Raises:
        LotteryError: if there is none of that name.
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
                "Expected two logical CPUs for training.strategy=mirrored, since there is no GPU. Received: "
                "a process in which TensorFlow has started with one. Set them before anything else runs."
            ) from error
