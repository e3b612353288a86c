"""Every variable of a training, captured and restored exactly.

Keras's own checkpoints leave out the seeds of dropout; these don't. Masks are left out, since they belong to
a round, not to the state of a training.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables


def model_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return name -> variable of a prunable or plain model, masks left out.

    Names are `model/` and the path that masks have too (`model/hidden1/kernel`), so state
    of a plain model can be restored into its prunable one, and the reverse.
    """
    return {f"model/{path}": variable for path, variable in named_variables(model).items()}


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
        LotteryError: If the state is another network's.
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
