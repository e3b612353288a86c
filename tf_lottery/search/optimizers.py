"""Resetting the optimizers of a search's model to the state in which they were new."""

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import mask_slots
from tf_lottery.layers.compiled import new_optimizer


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Return the model's optimizer, and further ones that the user's own `train_step` may use."""
    optimizers = {id(model.optimizer): model.optimizer} if model.optimizer else {}
    for value in vars(model).values():
        if isinstance(value, keras.optimizers.Optimizer):
            optimizers[id(value)] = value
    return list(optimizers.values())


class Optimizers:
    """Resets the optimizers of a model.

    Args:
        model: The model. Its optimizers' present settings are kept, since callbacks may change them later.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._twins = {id(each): new_optimizer(each) for each in optimizers_of(model)}
        self._fresh: dict[int, list[np.ndarray]] = {}

    def begin(self, step: int) -> None:
        """Reset each optimizer, at a step of its learning-rate schedule.

        Raises:
            LotteryError: If a callback has compiled the model again.
        """
        for optimizer in optimizers_of(self._model):
            if id(optimizer) not in self._twins:
                raise LotteryError(
                    f"A callback has compiled the model with another {type(optimizer).__name__}, but each "
                    "round needs the optimizer that the search began with. Leave that callback out."
                )
            if optimizer.built:
                self._reset(optimizer, step)

    def begin_averages(self) -> None:
        """Set the moving averages of the weights to the weights themselves."""
        for optimizer in optimizers_of(self._model):
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if inner.built and inner.use_ema:
                for variable, average in zip(
                    inner._trainable_variables, inner._model_variables_moving_average, strict=True
                ):
                    average.assign(variable)

    def undo(self) -> None:
        """Reset the optimizers that `begin` has reset before."""
        for optimizer in optimizers_of(self._model):
            if optimizer.built and id(optimizer) in self._fresh:
                self._reset(optimizer, 0)

    def restore(self, values: Arrays) -> None:
        """Restore the state of the model's optimizer at a rewind point, masked."""
        variables = list(self._model.optimizer.variables)
        if [tuple(variable.shape) for variable in variables] != [value.shape for value in values.values()]:
            raise LotteryError("The rewind point is of another optimizer. Use another directory.")
        for variable, value in zip(variables, values.values(), strict=True):
            variable.assign(value)
        mask_slots(self._model.optimizer, self._model)

    def make_new(self, copy: keras.Model) -> keras.Model:
        """Return a compiled copy of the model with a fresh optimizer, not as the last round left it."""
        if copy.compiled and copy.optimizer is not None:
            if not copy.optimizer.built:
                copy.optimizer.build(copy.trainable_variables)
            values = self._new(self._model.optimizer)
            for variable, value in zip(copy.optimizer.variables, values, strict=True):
                variable.assign(value)
        return copy

    def _reset(self, optimizer: keras.optimizers.Optimizer, step: int) -> None:
        for variable, value in zip(optimizer.variables, self._new(optimizer), strict=True):
            variable.assign(value)
        getattr(optimizer, "inner_optimizer", optimizer)._iterations.assign(step)

    def _new(self, optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
        """Return what an optimizer's variables hold when it is new."""
        if id(optimizer) not in self._fresh:
            twin = self._twins[id(optimizer)]
            main = optimizer is self._model.optimizer
            twin.build(self._model.trainable_variables if main else optimizer._trainable_variables)
            self._fresh[id(optimizer)] = [np.array(ops.convert_to_numpy(v)) for v in twin.variables]
        return self._fresh[id(optimizer)]
