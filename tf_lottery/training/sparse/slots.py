"""Where Keras's optimizer keeps what the sparse engine's keeps: names to save and restore a state by."""

import keras

from tf_lottery.training.state import optimizer_variables

_LISTS = {
    "momentum": ("_momentums", "momentums"),
    "velocity": ("_velocities",),
    "velocity_hat": ("_velocity_hats",),
}
"""Slot -> the attributes of Keras optimizers that list its variables."""


def slot_names(
    optimizer: keras.optimizers.Optimizer, trainable: list[keras.Variable], names: list[str]
) -> dict[str, dict[str, str]]:
    """Return the names that an optimizer's variables have in `tf_lottery.training.state.optimizer_variables`.

    Args:
        optimizer: An optimizer that was built for the variables.
        trainable: The variables that are trained.
        names: The name of each variable's part.

    Returns:
        Slot -> name of a part -> name of the variable. Under `scalars`, `iteration` and `learning_rate` are
        the parts.
    """
    found = {id(variable): name for name, variable in optimizer_variables(optimizer).items()}
    slots = {}
    for slot, attributes in _LISTS.items():
        for variables in filter(None, (getattr(optimizer, name, None) for name in attributes)):
            slots[slot] = {
                name: found[id(variables[optimizer._get_variable_index(variable)])]
                for variable, name in zip(trainable, names, strict=True)
            }
    scalars = {"iteration": optimizer._iterations, "learning_rate": optimizer._learning_rate}
    return {**slots, "scalars": {name: found[id(variable)] for name, variable in scalars.items()}}
