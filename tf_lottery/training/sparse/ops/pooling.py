"""Pooling layers."""

import keras

from tf_lottery.training.sparse.kernels import pooling as kernels
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported
from tf_lottery.training.sparse.tensor import Tensor

Pair = tuple[int, int]


class Pooling(Op):
    """The maximum or the mean of each window.

    Args:
        inputs: One image.
        context: The network's.
        window: The numbers of rows and columns of a window.
        strides: How far windows lie apart.
        same: Whether windows go beyond the image, as with Keras's padding "same".
        mean: Whether it is the mean.
    """

    def __init__(
        self, inputs: list[Tensor], context: Context, window: Pair, strides: Pair, same: bool, mean: bool
    ):
        x = inputs[0]
        image = x.rows, x.columns
        counts = [
            -(-size // stride) if same else (size - length) // stride + 1
            for size, length, stride in zip(image, window, strides, strict=True)
        ]
        beyond = [
            max(0, (count - 1) * stride + length - size)
            for count, stride, length, size in zip(counts, strides, window, image, strict=True)
        ]
        super().__init__(inputs, context.tensor(x.channels, *counts))
        self._mean = mean
        before = (beyond[0] // 2, beyond[1] // 2) if same else (0, 0)
        self._windows = image, window, strides, before
        self._tiled = window == strides and not any(
            size % length for size, length in zip(image, window, strict=True)
        )

    def prepare(self, context: Context) -> None:
        x, y = self.inputs[0], self.output
        windows = (y.groups, y.channels, y.rows, y.columns), *self._windows
        self._forward = x.value, x.steps, y.value, y.steps, *windows
        self._backward = None
        if x.gradient is not None:
            ends = self.adds[0], self._tiled
            if self._mean:
                self._backward = x.gradient, x.steps, y.gradient, y.steps, *windows, *ends
            else:
                self._backward = x.value, x.gradient, x.steps, y.value, y.gradient, y.steps, *windows, *ends

    def forward(self, training: bool, step: int) -> None:
        (kernels.average if self._mean else kernels.highest)(*self._forward)

    def backward(self) -> None:
        if self._backward:
            (kernels.average_gradient if self._mean else kernels.highest_gradient)(*self._backward)


class GlobalMaximum(Pooling):
    """The maximum of each image. Its gradient goes to all places where it is found, in equal parts."""

    def __init__(self, inputs: list[Tensor], context: Context):
        image = inputs[0].rows, inputs[0].columns
        super().__init__(inputs, context, image, image, same=False, mean=False)

    def backward(self) -> None:
        x, y = self.inputs[0], self.output
        if x.gradient is not None:
            kernels.whole_highest_gradient(
                *(x.value, x.gradient, x.steps, y.value, y.gradient, y.steps, x.sizes, self.adds[0])
            )


def maximum(layer: keras.layers.MaxPooling2D, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a MaxPooling2D layer."""
    return [_windows(layer, inputs, context, mean=False)]


def average(layer: keras.layers.AveragePooling2D, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of an AveragePooling2D layer."""
    return [_windows(layer, inputs, context, mean=True)]


def _windows(layer: keras.Layer, inputs: list[Tensor], context: Context, mean: bool) -> Pooling:
    _refuse_channels_first(layer)
    if 0 in layer.strides:
        raise Unsupported("strides of 0")
    same = layer.padding == "same"
    return Pooling(inputs, context, tuple(layer.pool_size), tuple(layer.strides), same, mean)


def global_maximum(
    layer: keras.layers.GlobalMaxPooling2D, inputs: list[Tensor], context: Context
) -> list[Op]:
    """Return the ops of a GlobalMaxPooling2D layer."""
    _refuse_channels_first(layer)
    return [GlobalMaximum(inputs, context)]


def global_average(
    layer: keras.layers.GlobalAveragePooling2D, inputs: list[Tensor], context: Context
) -> list[Op]:
    """Return the ops of a GlobalAveragePooling2D layer."""
    _refuse_channels_first(layer)
    image = inputs[0].rows, inputs[0].columns
    return [Pooling(inputs, context, image, image, same=False, mean=True)]


def _refuse_channels_first(layer: keras.Layer) -> None:
    if layer.data_format != "channels_last":
        raise Unsupported("data_format")
    if getattr(layer, "keepdims", False):
        raise Unsupported("keepdims")
