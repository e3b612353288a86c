"""What a training may change besides the search's own network: the user's model and variables elsewhere."""

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
    """A model's variables, kept to be brought back.

    Args:
        model: The model that the user gave.
    """

    def __init__(self, model: keras.Model):
        optimizer = model.optimizer.variables if model.optimizer is not None else []
        self._kept = [(v, np.array(ops.convert_to_numpy(v))) for v in (*model.variables, *optimizer)]
        self._trainable = [(layer, layer.trainable) for layer in model._flatten_layers()]

    def restore(self) -> None:
        """Bring them back."""
        for layer, trainable in self._trainable:
            if layer.trainable != trainable:
                layer.trainable = trainable
        for variable, value in self._kept:
            variable.assign(value)


class Outside:
    """Variables that callbacks and losses hold, and change, outside of the model: a weight of a loss, say.

    Each round begins with what they held when the search began, or at the rewind point.

    Args:
        model: The search's model.
        callbacks: The callbacks of `fit`.
    """

    def __init__(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]):
        known = {id(variable) for variable in model.variables}
        config = getattr(getattr(model, "_compile_config", None), "config", {})
        things = [*callbacks, *(config.get(name) for name in ("loss", "metrics", "weighted_metrics"))]
        found = {
            id(each): each
            for each in reachable(things)
            if isinstance(each, (keras.Variable, tf.Variable)) and id(each) not in known
        }
        self._variables = list(found.values())
        self._initial = [np.array(ops.convert_to_numpy(each)) for each in self._variables]

    def values(self) -> list[Any]:
        """Return what they hold, as JSON holds it; of large ones a digest."""
        return [_told(np.asarray(ops.convert_to_numpy(each))) for each in self._variables]

    def reset(self, values: list[Any] | None = None) -> None:
        """Bring values back.

        Args:
            values: What `values` returned. Default: the values when the search began.

        Raises:
            LotteryError: If a large one had changed by then.
        """
        for index, (variable, initial) in enumerate(zip(self._variables, self._initial, strict=True)):
            value = initial if values is None else values[index]
            if isinstance(value, str):
                if value != _told(initial):
                    raise LotteryError(
                        "Expected rewind_to='0it', since a callback or loss holds a large variable that "
                        f"changes. Received: {getattr(variable, 'name', 'one')!r} of {initial.size:,} values"
                    )
                value = initial
            variable.assign(value)


def _told(value: np.ndarray) -> Any:
    return value.tolist() if value.size <= _LARGE else hashlib.sha256(value.tobytes()).hexdigest()
