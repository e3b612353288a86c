"""What a training may change besides the search's network: the user's model, and variables elsewhere."""

import hashlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_lottery.errors import LotteryError
from tf_lottery.layers.refers import reachable

_LARGE = 1000


class AsItWas:
    """Remembers the values of a model's variables, to restore them later.

    Args:
        model: The model that the user gave.
    """

    def __init__(self, model: keras.Model):
        optimizer = model.optimizer.variables if model.optimizer is not None else []
        self._saved = [(v, np.array(ops.convert_to_numpy(v))) for v in (*model.variables, *optimizer)]
        self._trainable = [(layer, layer.trainable) for layer in model._flatten_layers()]

    def restore(self) -> None:
        """Restore the variables, and which layers are trainable."""
        for layer, trainable in self._trainable:
            if layer.trainable != trainable:
                layer.trainable = trainable
        for variable, value in self._saved:
            variable.assign(value)


class Outside:
    """Variables outside of the model that callbacks and losses hold and change, such as the weight of a loss.

    Each round begins with the values they had when the search began, or at the rewind point.

    Args:
        model: The search's model.
        callbacks: The callbacks of `fit`.
    """

    def __init__(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]):
        known = {id(variable) for variable in model.variables}
        config = getattr(getattr(model, "_compile_config", None), "config", {})
        things = [*callbacks, *(config.get(name) for name in ("loss", "metrics", "weighted_metrics"))]
        variables = {
            id(each): each
            for each in reachable(things)
            if isinstance(each, (keras.Variable, tf.Variable)) and id(each) not in known
        }
        self._variables = list(variables.values())
        self._initial = [np.array(ops.convert_to_numpy(each)) for each in self._variables]

    def values(self) -> list[Any]:
        """Return the variables' values as JSON; a large variable is represented by a digest."""
        return [_as_json(np.asarray(ops.convert_to_numpy(each))) for each in self._variables]

    def reset(self, values: list[Any] | None = None) -> None:
        """Restore values.

        Args:
            values: What `values` returned. Default: the values when the search began.

        Raises:
            LotteryError: If a large variable had changed by then.
        """
        for index, (variable, initial) in enumerate(zip(self._variables, self._initial, strict=True)):
            value = initial if values is None else values[index]
            if isinstance(value, str):
                if value != _as_json(initial):
                    raise LotteryError(
                        f"The variable {variable.name!r} of a callback or loss has changed, and with "
                        f"{initial.size:,} values it is too large to rewind. Use rewind_to='0it'."
                    )
                value = initial
            variable.assign(value)


def _as_json(value: np.ndarray) -> Any:
    return value.tolist() if value.size <= _LARGE else hashlib.sha256(value.tobytes()).hexdigest()
