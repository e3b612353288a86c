"""Every variable of a training, captured and restored exactly.

By index, because names may repeat and Keras's own checkpoints leave out the seeds of
dropout. Masks aren't state of a training: they belong to a round, and are left out.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import kernels, variables_without_masks


def model_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return name -> variable of a prunable or plain model, masks left out.

    The order, and so the index in each name, is that of the plain model: state of the one
    can be restored into the other.
    """
    kept = enumerate(variables_without_masks(model))
    return {f"model/{index:04d}/{variable.name}": variable for index, variable in kept}


def kernel_names(model: keras.Model) -> dict[str, str]:
    """Return kernel path -> its name in captured state, of a prunable model."""
    names = {id(variable): name for name, variable in model_variables(model).items()}
    return {path: names[id(kernel)] for path, (kernel, _) in kernels(model).items()}


def optimizer_variables(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Return name -> variable of a built optimizer, its step counter included."""
    return {
        f"optimizer/{index:04d}/{variable.name}": variable
        for index, variable in enumerate(optimizer.variables)
    }


def capture(variables: Mapping[str, keras.Variable]) -> Arrays:
    """Return copies of all values."""
    return {name: np.array(ops.convert_to_numpy(variable)) for name, variable in variables.items()}


def restore(variables: Mapping[str, keras.Variable], state: Mapping[str, np.ndarray]) -> None:
    """Write captured values back, bit for bit. Kernels are re-masked by their guard.

    Raises:
        LotteryError: if the state is another network's.
    """
    if variables.keys() != state.keys():
        differing = sorted(variables.keys() ^ state.keys())
        raise LotteryError(
            f"Expected the state of this network ({len(variables)} variables). "
            f"Received: {len(state)} variables, differing in {', '.join(differing[:4])}"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != state[name].shape:
            raise LotteryError(
                f"Expected {name} of shape {tuple(variable.shape)}. Received: {state[name].shape}"
            )
    for name, variable in variables.items():
        variable.assign(state[name])
