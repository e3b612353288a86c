"""Layers that join several tensors."""

import keras

from tf_lottery.training.sparse.kernels.rows import move, plus
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported
from tf_lottery.training.sparse.tensor import Tensor


def adds_in_order(op: Op, first: int = 0) -> list[bool]:
    """Return an op's `adds` for gradients that are written input by input, one of them perhaps twice.

    Args:
        op: The op.
        first: The index of the input whose gradient is written first; the others follow, in a circle.
    """
    adds, written = list(op.adds), set()
    for index in (*range(first, len(op.inputs)), *range(first)):
        adds[index] = adds[index] or id(op.inputs[index]) in written
        written.add(id(op.inputs[index]))
    return adds


class Add(Op):
    """The sum of tensors of the same shape."""

    def __init__(self, inputs: list[Tensor], context: Context):
        x = inputs[0]
        super().__init__(inputs, context.tensor(x.channels, x.rows, x.columns))

    def prepare(self, context: Context) -> None:
        first, second, *others = self.inputs
        y = self.output
        self._first = first.value, first.steps, second.value, second.steps, y.value, y.steps, y.sizes
        self._others = [(x.value, x.steps, y.value, y.steps, y.sizes, True) for x in others]
        self._backward = [
            (y.gradient, y.steps, x.gradient, x.steps, y.sizes, add_to)
            for x, add_to in zip(self.inputs, adds_in_order(self), strict=True)
            if x.gradient is not None
        ]

    def forward(self, training: bool, step: int) -> None:
        plus(*self._first)
        for other in self._others:
            move(*other)

    def backward(self) -> None:
        for gradient in self._backward:
            move(*gradient)


class Concatenate(Op):
    """Images or vectors side by side, channel after channel."""

    def __init__(self, inputs: list[Tensor], context: Context):
        channels = sum(x.channels for x in inputs)
        super().__init__(inputs, context.tensor(channels, inputs[0].rows, inputs[0].columns))

    def prepare(self, context: Context) -> None:
        y, channel = self.output, 0
        self._forward, self._backward = [], []
        for x, add_to in zip(self.inputs, adds_in_order(self), strict=True):
            steps = int(y.place(channel, 0, 0)), *y.steps[1:]
            self._forward.append((x.value, x.steps, y.value, steps, x.sizes, False))
            if x.gradient is not None:
                self._backward.append((y.gradient, steps, x.gradient, x.steps, x.sizes, add_to))
            channel += x.channels

    def forward(self, training: bool, step: int) -> None:
        for part in self._forward:
            move(*part)

    def backward(self) -> None:
        for part in self._backward:
            move(*part)


def add(layer: keras.layers.Add, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of an Add layer."""
    if len({(x.channels, x.rows, x.columns) for x in inputs}) != 1:
        raise Unsupported("inputs of different shapes")
    return [Add(inputs, context)]


def concatenate(layer: keras.layers.Concatenate, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a Concatenate layer."""
    rank = len(layer.input[0].shape)
    if layer.axis not in (-1, rank - 1):
        raise Unsupported("axis")
    if len({(x.rows, x.columns) for x in inputs}) != 1 or (
        rank == 2 and inputs[0].rows * inputs[0].columns > 1
    ):
        raise Unsupported("inputs that are images made vectors")
    return [Concatenate(inputs, context)]
