"""How a training is compiled: XLA or graph, threads, determinism.

A rule decides, never a timing, because XLA and graph give different bits.
"""

import os

import keras
import tensorflow as tf

from tf_lottery.config import TrainingConfig
from tf_lottery.errors import LotteryError

# XLA's default, 256 bits, makes an optimizer's update a third slower on processors with 512; on others
# LLVM splits the vectors. The flag is read when XLA first compiles.
_VECTOR_WIDTH = "xla_cpu_prefer_vector_width"
_CONVOLUTIONS = tuple(
    getattr(keras.layers, f"{kind}{dimensions}D{transposed}")
    for kind, dimensions, transposed in [
        *(("Conv", n, t) for n in (1, 2, 3) for t in ("", "Transpose")),
        *(("DepthwiseConv", n, "") for n in (1, 2)),
        *(("SeparableConv", n, "") for n in (1, 2)),
    ]
)


def use_xla(model: keras.Model, setting: str | bool, device: str, replicas: int) -> bool:
    """Decide whether the loop is compiled by XLA.

    `auto` on a processor: XLA unless the model has a convolution (oneDNN's are 2.5 to 4
    times faster). On other devices: XLA. With several replicas: never, since placing the masks fails.

    Raises:
        LotteryError: If XLA is asked for with several replicas.
    """
    if replicas > 1:
        if setting is True:
            raise LotteryError("Expected training.xla auto or false with several replicas. Received: true")
        return False
    if setting != "auto":
        return bool(setting)
    return device != "CPU" or not _convolves(model)


def configure(config: TrainingConfig) -> None:
    """Fix threads and determinism for this process, before TensorFlow starts.

    Raises:
        LotteryError: If TensorFlow has started with another number of threads, or Keras is set to another
            float type, which would change results without any record telling.
    """
    for setting, value in (
        ("keras.config.floatx()", keras.config.floatx()),
        ("keras.config.dtype_policy()", keras.config.dtype_policy().name),
    ):
        if value != "float32":
            raise LotteryError(
                f"Expected {setting} to be float32. Received: {value}, perhaps set by keras.json"
            )
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(config.threads)
        threading.set_inter_op_parallelism_threads(config.threads)
    except RuntimeError as error:
        running = threading.get_intra_op_parallelism_threads()
        raise LotteryError(
            f"training.threads is {config.threads}, but TensorFlow has already started with "
            f"{running or 'one for each core'}. Run the study before other TensorFlow code, or in its own "
            "process."
        ) from error
    flags = os.environ.get("XLA_FLAGS", "")
    if _VECTOR_WIDTH not in flags and flags[:2] in ("", "--"):  # else it names a file of flags
        os.environ["XLA_FLAGS"] = f"{flags} --{_VECTOR_WIDTH}=512".strip()
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def _convolves(model: keras.Model) -> bool:
    return any(isinstance(layer, _CONVOLUTIONS) for layer in model._flatten_layers())
