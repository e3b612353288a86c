"""How the units of a tensor depend on the units of another, for each layer where that is proven.

A unit is an index of a tensor's last axis: a feature, or a channel whatever its position. To make another
layer known, write a function and a line in `CONNECTIONS`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from tf_lottery.layers.elementwise import is_elementwise

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Connections:
    """Pairs of an input unit and an output unit, the latter depending on the former.

    Attributes:
        inputs: The indices of the input units.
        outputs: The indices of the output units. Both are broadcast to one shape.
        size: The number of output units.
        kernel: The kernel whose weights make the connections, the last two axes in the shape of the
            indices; None if nothing prunable does.
        mixes: Whether each output depends on every input besides, as with softmax.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    size: int
    kernel: keras.Variable | None = None
    mixes: bool = False

    def forward(self, reached: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
        """Return which output units depend on the input units that are reached.

        Args:
            reached: The input units, as booleans.
            kept: Which connections there are, of the kernel's last two axes. Default: all.
        """
        result = np.zeros(self.size, bool)
        alive = reached[self.inputs] if kept is None else kept & reached[self.inputs]
        result[np.broadcast_to(self.outputs, alive.shape)[alive]] = True
        return np.full(self.size, result.any()) if self.mixes else result

    def backward(self, needed: np.ndarray, kept: np.ndarray | None, size: int) -> np.ndarray:
        """Return which of the input units the output units that are needed depend on.

        Args:
            needed: The output units, as booleans.
            kept: Which connections there are, of the kernel's last two axes. Default: all.
            size: The number of input units.
        """
        needed = np.full(self.size, needed.any()) if self.mixes else needed
        result = np.zeros(size, bool)
        alive = needed[self.outputs] if kept is None else kept & needed[self.outputs]
        result[np.broadcast_to(self.inputs, alive.shape)[alive]] = True
        return result


Found = list[Connections] | None
"""The connections from each input of an operation; None if they aren't proven."""


def connections(operation: keras.Operation, inputs: Sequence[Shape], output: Shape) -> Found:
    """Return the connections that an operation makes from each of its inputs to its output.

    Args:
        operation: A Keras layer or operation, not wrapped.
        inputs: The shapes of its inputs, with the batch.
        output: The shape of its output, with the batch.

    Returns:
        The connections by input; None if they aren't proven.
    """
    if getattr(operation, "data_format", None) == "channels_first":
        return None
    if not all(len(shape) > 1 and shape[-1] for shape in (*inputs, output)):
        return None
    kind = type(operation)
    if kind.__name__ in _SUMS and kind.__module__.startswith("keras."):
        return _merged(operation, inputs, output)
    if rule := CONNECTIONS.get(kind):
        return rule(operation, inputs, output)
    return _same(operation, inputs, output) if is_elementwise(operation) else None


def _same(layer: keras.Operation, inputs: Sequence[Shape], output: Shape) -> Found:
    """Each unit depends on the same unit, whatever happens between its positions."""
    if len(inputs) != 1 or inputs[0][-1] != output[-1]:
        return None
    return [Connections(np.arange(output[-1]), np.arange(output[-1]), output[-1])]


def _merged(layer: keras.Operation, inputs: Sequence[Shape], output: Shape) -> Found:
    """Each unit depends on the same unit of every input, if nothing is broadcast."""
    if any(shape != output for shape in inputs):
        return None
    return [each for shape in inputs for each in _same(layer, [shape], output)]


def _dropped(layer: keras.Layer, inputs: Sequence[Shape], output: Shape) -> Found:
    return _same(layer, inputs, output) if getattr(layer, "noise_shape", None) is None else None


def _normalized(layer: layers.BatchNormalization, inputs: Sequence[Shape], output: Shape) -> Found:
    return _same(layer, inputs, output) if layer.axis in (-1, len(output) - 1) else None


def _softmax(layer: layers.Softmax, inputs: Sequence[Shape], output: Shape) -> Found:
    return _mixed(output[-1]) if layer.axis in (-1, len(output) - 1) else None


def _activated(layer: layers.Activation, inputs: Sequence[Shape], output: Shape) -> Found:
    if layer.activation in (keras.activations.softmax, keras.activations.log_softmax):
        return _mixed(output[-1])
    return _same(layer, inputs, output) if is_elementwise(layer.activation) else None


def _mixed(size: int) -> Found:
    return [Connections(np.arange(size), np.arange(size), size, mixes=True)]


def _reshaped(layer: keras.Layer, inputs: Sequence[Shape], output: Shape) -> Found:
    """Channels stay, or each becomes one unit for each of its positions."""
    (shape,) = inputs
    if None in shape[1:] or None in output[1:]:
        return None
    channels = shape[-1]
    if output[-1] == channels:
        return _same(layer, inputs, output)
    if len(output) != 2:
        return None
    size = math.prod(shape[1:])
    return [Connections(np.arange(size) % channels, np.arange(size), size)]


def _permuted(layer: layers.Permute, inputs: Sequence[Shape], output: Shape) -> Found:
    return _same(layer, inputs, output) if layer.dims[-1] == len(layer.dims) else None


def _concatenated(layer: layers.Concatenate, inputs: Sequence[Shape], output: Shape) -> Found:
    if layer.axis not in (-1, len(output) - 1):
        return None
    starts = np.cumsum([0, *(shape[-1] for shape in inputs)])
    return [
        Connections(np.arange(shape[-1]), start + np.arange(shape[-1]), output[-1])
        for shape, start in zip(inputs, starts, strict=False)
    ]


def _multiplied(layer: keras.Layer, inputs: Sequence[Shape], output: Shape) -> Found:
    """A Dense layer or a convolution, perhaps in groups."""
    read, size = layer.kernel.shape[-2:]
    groups = getattr(layer, "groups", 1)
    if len(inputs) != 1 or read * groups != inputs[0][-1] or size != output[-1]:
        return None
    group = np.arange(size) // (size // groups)
    pairs = Connections(
        np.arange(read)[:, None] + (read * group if groups > 1 else 0),
        np.arange(size)[None],
        size,
        layer.kernel,
    )
    return _with_activation(layer, pairs)


def _by_channel(layer: keras.Layer, inputs: Sequence[Shape], output: Shape) -> Found:
    """A depthwise convolution: each channel makes `depth_multiplier` of its own."""
    read, times = layer.kernel.shape[-2:]
    if len(inputs) != 1 or read != inputs[0][-1] or read * times != output[-1]:
        return None
    channels = np.arange(read)[:, None]
    pairs = Connections(channels, channels * times + np.arange(times), read * times, layer.kernel)
    return _with_activation(layer, pairs)


def _with_activation(layer: keras.Layer, pairs: Connections) -> Found:
    if layer.activation in (keras.activations.softmax, keras.activations.log_softmax):
        return [Connections(pairs.inputs, pairs.outputs, pairs.size, pairs.kernel, mixes=True)]
    return [pairs] if is_elementwise(layer.activation) else None


_SUMS = ("Add", "Subtract", "Average")

CONNECTIONS: dict[type, Callable[[keras.Layer, Sequence[Shape], Shape], Found]] = {
    **dict.fromkeys((layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D), _multiplied),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), _by_channel),
    **dict.fromkeys((layers.Flatten, layers.Reshape), _reshaped),
    layers.Permute: _permuted,
    layers.Concatenate: _concatenated,
    layers.BatchNormalization: _normalized,
    layers.Softmax: _softmax,
    layers.Activation: _activated,
    **dict.fromkeys((layers.Dropout, layers.GaussianDropout, layers.GaussianNoise), _dropped),
    **dict.fromkeys((layers.AlphaDropout, layers.SpatialDropout1D, layers.SpatialDropout2D), _dropped),
    layers.SpatialDropout3D: _dropped,
    **dict.fromkeys((layers.ReLU, layers.PReLU, layers.Identity, layers.Rescaling), _same),
    layers.ActivityRegularization: _same,
    **dict.fromkeys((layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D), _same),
    **{
        getattr(layers, f"{kind}Pooling{dimensions}D"): _same
        for kind in ("Max", "Average", "GlobalMax", "GlobalAverage")
        for dimensions in (1, 2, 3)
    },
}
"""Layer -> the connections that it makes. Whatever isn't a line here, nor a sum, nor elementwise, isn't
proven: above all what mixes units, such as layer normalization and attention."""
