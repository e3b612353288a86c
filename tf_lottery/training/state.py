"""Every variable of a training, captured and restored exactly.

Unlike Keras's own checkpoints, these include the seeds of dropout. Masks are left out, since they belong to
a round and not to the state of a training.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables


def model_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return name -> variable of a prunable or plain model, without masks.

    A name is `model/` and the path that the masks use too (`model/hidden1/kernel`), so the state
    of a plain model can be restored into its prunable one, and the other way round.
    """
    return {f"model/{path}": variable for path, variable in named_variables(model).items()}


def optimizer_variables(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Return name -> variable of a built optimizer, including its step counter."""
    return {
        f"optimizer/{index:04d}/{variable.name}": variable
        for index, variable in enumerate(optimizer.variables)
    }


def capture(variables: Mapping[str, keras.Variable]) -> Arrays:
    """Return copies of the variables' values."""
    return {name: np.array(ops.convert_to_numpy(variable)) for name, variable in variables.items()}


def restore(variables: Mapping[str, keras.Variable], state: Mapping[str, np.ndarray]) -> None:
    """Write captured values back, bit for bit. Each kernel's guard applies its mask again.

    Raises:
        LotteryError: If the state is that of another network.
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
