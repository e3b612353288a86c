"""Dropout layers."""

import keras
import numpy as np

from tf_lottery.training.sparse.kernels.dropout import drop
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported
from tf_lottery.training.sparse.ops.simple import Flatten
from tf_lottery.training.sparse.tensor import Tensor


class Dropout(Op):
    """A Dropout layer. Seed and step say what is dropped, so that a run that goes on drops the same.

    Args:
        path: As below.

    Attributes:
        path: The name of the variable that holds the state of Keras's generator; None if it has none.
        seed: The layer's seed, which is given before training.
    """

    def __init__(self, inputs: list[Tensor], context: Context, rate: float, path: str | None = None):
        x = inputs[0]
        super().__init__(inputs, context.tensor(x.channels, x.rows, x.columns))
        self.path, self.seed = path, 0
        self._rate, self._step = rate, np.uint64(0)

    def prepare(self, context: Context) -> None:
        x, y = self.inputs[0], self.output
        self._forward = x.value, x.steps, y.value, y.steps, x.sizes
        self._backward = None
        if x.gradient is not None:
            self._backward = y.gradient, y.steps, x.gradient, x.steps, x.sizes
        self._limit = np.uint32(min(round(self._rate * 2**32), 2**32 - 1))
        self._scale, self._one = context.dtype.type(1 / (1 - self._rate)), context.dtype.type(1)

    def forward(self, training: bool, step: int) -> None:
        self._step = np.uint64(step)
        limit, scale = (self._limit, self._scale) if training else (np.uint32(0), self._one)
        drop(*self._forward, self._bits(), self._step, limit, scale, False)

    def backward(self) -> None:
        if self._backward:
            drop(*self._backward, self._bits(), self._step, self._limit, self._scale, self.adds[0])

    def _bits(self) -> np.uint64:
        return np.uint64(self.seed % 2**64)


def dropout(layer: keras.layers.Dropout, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a Dropout layer."""
    if layer.noise_shape is not None:
        raise Unsupported("noise_shape")
    if layer.rate == 0:
        return [Flatten(inputs)]
    if layer.rate == 1:
        raise Unsupported("rate 1")
    path = context.names.get(id(layer.seed_generator.state))
    if path is None:
        raise Unsupported("a seed generator that isn't the layer's own")
    return [Dropout(inputs, context, layer.rate, path)]
