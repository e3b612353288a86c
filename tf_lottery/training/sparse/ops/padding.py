"""Layers of zeros around images."""

import keras

from tf_lottery.training.sparse.kernels.rows import move
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported
from tf_lottery.training.sparse.tensor import Tensor


class Padding(Op):
    """Zeros above, below, left and right of an image."""

    def __init__(self, inputs: list[Tensor], context: Context, border: tuple[int, int, int, int]):
        x = inputs[0]
        top, bottom, left, right = border
        output = context.tensor(x.channels, top + x.rows + bottom, left + x.columns + right)
        super().__init__(inputs, output)
        self._origin = top, left

    def prepare(self, context: Context) -> None:
        x, y = self.inputs[0], self.output
        steps = int(y.place(0, *self._origin)), *y.steps[1:]
        self._forward = x.value, x.steps, y.value, steps, x.sizes, False  # the zeros are there already
        self._backward = None
        if x.gradient is not None:
            self._backward = y.gradient, steps, x.gradient, x.steps, x.sizes, self.adds[0]

    def forward(self, training: bool, step: int) -> None:
        move(*self._forward)

    def backward(self) -> None:
        if self._backward:
            move(*self._backward)


def zeros(layer: keras.layers.ZeroPadding2D, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a ZeroPadding2D layer."""
    if layer.data_format != "channels_last":
        raise Unsupported("data_format")
    rows, columns = layer.padding
    return [Padding(inputs, context, (*rows, *columns))]
