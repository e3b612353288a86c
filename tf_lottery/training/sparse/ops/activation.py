"""Activations, as layers of their own and after Dense and Conv2D layers.

ReLU and leaky ReLU have a kernel. The others are written with NumPy, and computed in parts that fit the
cache.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import activations

from tf_lottery.training.sparse.kernels.erfc import erfc
from tf_lottery.training.sparse.kernels.rows import bend, bend_gradient
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported
from tf_lottery.training.sparse.ops.simple import Flatten
from tf_lottery.training.sparse.tensor import Tensor

_PART = 32768

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


class Bend(Op):
    """ReLU, or a leaky one: negative numbers are multiplied by a slope."""

    def __init__(self, inputs: list[Tensor], context: Context, slope: float = 0.0):
        x = inputs[0]
        super().__init__(inputs, context.tensor(x.channels, x.rows, x.columns))
        self.slope = slope

    def prepare(self, context: Context) -> None:
        x, y = self.inputs[0], self.output
        slope = context.dtype.type(np.float32(self.slope))  # as TensorFlow rounds it, whatever the dtype
        self._forward = x.value, x.steps, y.value, y.steps, x.sizes, slope
        self._backward = None
        if x.gradient is not None:
            self._backward = (
                *(x.value, x.gradient, x.steps, y.gradient, y.steps, x.sizes, slope, self.adds[0]),
            )

    def forward(self, training: bool, step: int) -> None:
        bend(*self._forward)

    def backward(self) -> None:
        if self._backward:
            bend_gradient(*self._backward)


class Activation(Op):
    """An activation that NumPy computes.

    Args:
        value: x -> y.
        slope: x, y -> the derivative of y.
    """

    def __init__(self, inputs: list[Tensor], context: Context, value: Callable, slope: Callable):
        x = inputs[0]
        super().__init__(inputs, context.tensor(x.channels, x.rows, x.columns))
        self._value, self._slope = value, slope

    def prepare(self, context: Context) -> None:
        x, y = self.inputs[0], self.output
        channels = max(1, _PART // (x.rows * x.sizes[3]))
        parts = [
            (slice(group, group + 1), slice(first, first + channels))
            for group in range(x.groups)
            for first in range(0, x.channels, channels)
        ]
        self._parts = [(x.interior(x.value)[part], y.interior(y.value)[part]) for part in parts]
        self._gradients = []
        if x.gradient is not None:
            self._gradients = [(x.interior(x.gradient)[part], y.interior(y.gradient)[part]) for part in parts]

    def forward(self, training: bool, step: int) -> None:
        with np.errstate(all="ignore"):
            for x, y in self._parts:
                y[:] = self._value(x)

    def backward(self) -> None:
        with np.errstate(all="ignore"):
            for (x, y), (dx, dy) in zip(self._parts, self._gradients, strict=False):
                gradient = self._slope(x, y)
                gradient *= dy
                if self.adds[0]:
                    dx += gradient
                else:
                    dx[:] = gradient


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _softplus(x):
    return np.logaddexp(x, 0, dtype=x.dtype)


def _elu(alpha: float) -> tuple[Callable, Callable]:
    # expm1 of positive numbers would overflow.
    return (
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x, y: np.where(x > 0, x.dtype.type(1), y + x.dtype.type(alpha)),
    )


def _selu(x):
    return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _selu_slope(x, y):
    return np.where(x < 0, y + x.dtype.type(_SELU_SCALE * _SELU_ALPHA), x.dtype.type(_SELU_SCALE))


# TensorFlow's gelu takes the root of 1/2 rounded to float32, whatever the dtype.
_ROOT = float(np.float32(np.sqrt(0.5)))


def _normal(x):
    return 0.5 * erfc(-x * _ROOT)


def _gelu_slope(x, y):
    return _normal(x) + x * np.exp(-((x * _ROOT) ** 2)) * float(_ROOT / np.sqrt(np.pi))


def _silu_slope(x, y):
    part = _sigmoid(x)
    return part * (1 + x * (1 - part))


def _mish_slope(x, y):
    inner = np.tanh(_softplus(x))
    return inner + x * (1 - inner * inner) * _sigmoid(x)


def _between(low: float, high: float, slope: float, open_ends: bool) -> Callable:
    """Return the derivative of what is a line between two numbers and constant elsewhere."""

    def derivative(x, y):
        inside = (x > low) & (x < high) if open_ends else (x >= low) & (x <= high)
        return inside.astype(x.dtype) * x.dtype.type(slope)

    return derivative


ACTIVATIONS: dict[Callable, tuple[Callable, Callable]] = {
    activations.elu: _elu(1.0),
    activations.selu: (_selu, _selu_slope),
    activations.gelu: (lambda x: x * _normal(x), _gelu_slope),
    activations.silu: (lambda x: x * _sigmoid(x), _silu_slope),
    activations.mish: (lambda x: x * np.tanh(_softplus(x)), _mish_slope),
    activations.softplus: (_softplus, lambda x, y: _sigmoid(x)),
    activations.softsign: (lambda x: x / (1 + abs(x)), lambda x, y: 1 / (1 + abs(x)) ** 2),
    activations.tanh: (np.tanh, lambda x, y: 1 - y * y),
    activations.sigmoid: (_sigmoid, lambda x, y: y * (1 - y)),
    activations.log_sigmoid: (lambda x: -_softplus(-x), lambda x, y: _sigmoid(-x)),
    activations.exponential: (np.exp, lambda x, y: y.copy()),
    activations.relu6: (lambda x: np.clip(x, 0, 6), _between(0, 6, 1, open_ends=True)),
    activations.hard_tanh: (lambda x: np.clip(x, -1, 1), _between(-1, 1, 1, open_ends=False)),
    activations.hard_sigmoid: (
        lambda x: np.clip(x + 3, 0, 6) / 6,
        _between(-3, 3, 1 / 6, open_ends=True),
    ),
}
"""Keras's function -> x -> y, and x, y -> the derivative of y, for arrays."""


def activation(function: Callable, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of one of Keras's activations.

    Raises:
        Unsupported: If there is none.
    """
    if function is activations.linear:
        return [Flatten(inputs)]
    if function is activations.relu:
        return [Bend(inputs, context)]
    if function is activations.leaky_relu:
        return [Bend(inputs, context, 0.2)]
    if function in ACTIVATIONS:
        return [Activation(inputs, context, *ACTIVATIONS[function])]
    raise Unsupported(f"activation {getattr(function, '__name__', function)!r}")


def relu(layer: keras.layers.ReLU, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a ReLU layer."""
    if layer.max_value is not None or layer.threshold:
        raise Unsupported("max_value or threshold")
    return [Bend(inputs, context, layer.negative_slope)]


def leaky_relu(layer: keras.layers.LeakyReLU, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a LeakyReLU layer."""
    return [Bend(inputs, context, layer.negative_slope)]


def elu(layer: keras.layers.ELU, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of an ELU layer."""
    return [Activation(inputs, context, *_elu(layer.alpha))]
