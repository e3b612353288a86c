"""Weight decay and clipping, as rules for stretches of the parameters that the kernels of updates follow."""

import keras
import numpy as np

from tf_lottery.config import TrainingConfig
from tf_lottery.training.sparse.kernels import update as kernels
from tf_lottery.training.sparse.parameters import Parameters


def stretches(
    training: TrainingConfig, optimizer: keras.optimizers.Optimizer, parameters: Parameters
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each stretch ends, and its rule as a row.

    Neighbouring parts with the same rule are one stretch, unless norms are clipped.

    Args:
        training: The settings.
        optimizer: A Keras optimizer with these settings.
        parameters: The parameters.
    """
    by_norm = largest_norm(optimizer)[0] > 0
    ends, rules = [], []
    for part in parameters.parts:
        rule = _rule(training, optimizer, parameters.dtype, part.kernel)
        if rules and not by_norm and (rule == rules[-1]).all():
            ends[-1] = whole_vectors(part.last)
        else:
            ends.append(whole_vectors(part.last))
            rules.append(rule)
    return np.array(ends, np.int64), np.array(rules, parameters.dtype).reshape(-1, kernels.COLUMNS)


def _rule(
    training: TrainingConfig, optimizer: keras.optimizers.Optimizer, dtype: np.dtype, kernel: bool
) -> np.ndarray:
    rule = np.zeros(kernels.COLUMNS, dtype)
    rule[kernels.NUMERATOR] = rule[kernels.DENOMINATOR] = 1
    if training.weight_decay_kind == "l2" and kernel:
        rule[kernels.L2] = training.weight_decay
    # `optimizer_options.weight_decay`, which is given only if this one isn't, applies to all variables.
    of_kernels = training.weight_decay > 0 and training.weight_decay_kind == "decoupled"
    if optimizer.weight_decay and (kernel or not of_kernels):
        rule[kernels.DECAY] = cast(optimizer.weight_decay, dtype)
    if optimizer.clipvalue and optimizer.clipvalue > 0:
        rule[kernels.LIMIT] = optimizer.clipvalue
    return rule


def largest_norm(optimizer: keras.optimizers.Optimizer) -> tuple[float, bool]:
    """Return the largest norm, 0.0 for any, and whether it is that of all gradients together."""
    for norm, together in ((optimizer.clipnorm, False), (optimizer.global_clipnorm, True)):
        if norm and norm > 0:
            return float(norm), together
    return 0.0, False


def cast(value: float, dtype: np.dtype) -> np.floating:
    """Return what TensorFlow's `cast` makes of a Python number: float32 first, even on the way to float64."""
    return dtype.type(np.float32(value))


def whole_vectors(size: int) -> int:
    """Return the size of the vectors that hold so many numbers."""
    return -(-size // kernels.WIDTH) * kernels.WIDTH
