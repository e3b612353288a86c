"""How much a model has to store and to compute, in full and with the weights that pruning has left."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from tf_lottery.exports.compact.channels import nodes_of
from tf_lottery.layers.convert import check_plain
from tf_lottery.layers.kernels import PrunableChoice
from tf_lottery.layers.paths import children, named_variables

# Layers that use each weight once at each position of the outputs, and transposed ones: of the inputs.
_AT_OUTPUTS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
)
_AT_INPUTS = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)


@dataclass(frozen=True)
class Cost:
    """The weights and FLOPs of a model.

    Attributes:
        weights: The number of weights in all kernels, as `make_prunable` finds them.
        surviving_weights: The number of these weights that aren't 0.0.
        flops: The FLOPs for one example: a multiplication and an addition for each use of a weight, in Dense
            and EinsumDense layers and convolutions. Padding counts as if it were input.
        surviving_flops: The part of these FLOPs that uses weights that aren't 0.0.
        parameters: The number of all weights of the model, including biases and normalization.
        uncounted: The layers with kernels whose FLOPs aren't counted: recurrent and attention layers, custom
            layers, and layers with inputs of any size.
        nonzero: The number of all weights of the model that aren't 0.0.
        unknown: The matrices that hold zeros and aren't known as kernels. They may have been declared as
            kernels to `make_prunable`, which a plain model doesn't remember.
    """

    weights: int
    surviving_weights: int
    flops: int
    surviving_flops: int
    parameters: int
    uncounted: tuple[str, ...]
    nonzero: int
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return how much is left of the model, in words, and what isn't counted."""
        share = _percent(self.surviving_weights, self.weights)
        text = f"{self.surviving_weights:,} of {self.weights:,} prunable weights ({share})"
        text = text if self.weights else "no weights that are known as prunable"
        text += f", {self.nonzero:,} of all {self.parameters:,} ({_percent(self.nonzero, self.parameters)})"
        if self.unknown:
            text += f" (zeros of {_few(self.unknown)} counted in the latter only)"
        text += f", {self.surviving_flops:,} of {self.flops:,} FLOPs an example"
        return text + (f" (without those of {_few(self.uncounted)})" if self.uncounted else "")


def cost(model: keras.Model) -> Cost:
    """Return the weights and FLOPs of a plain model.

    Args:
        model: A built plain model.

    Raises:
        LotteryError: If the model isn't built, or isn't plain.

    Example:
        >>> import keras
        >>> from tf_lottery.exports.cost import cost
        >>> cost(keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])).flops
        40
    """
    check_plain(model)
    kernels = {
        id(kernel): _sizes(kernel) for kernel in PrunableChoice(frozen=True).kernels_of(model).values()
    }
    flops, uncounted = np.zeros(2, np.int64), {}
    for path, layer, positions in _calls(model, ""):
        used = [kernels[id(variable)] for variable in layer.weights if id(variable) in kernels]
        if used and positions is None:
            uncounted[path] = None
        elif used:
            flops += 2 * positions * np.sum(used, axis=0)
    weights = np.sum([np.zeros(2, np.int64), *kernels.values()], axis=0)
    sizes = {id(v): _sizes(v) for v in model.weights}
    parameters, nonzero = np.sum([np.zeros(2, np.int64), *sizes.values()], axis=0)
    return Cost(
        *map(int, (*weights, *flops, parameters)),
        tuple(uncounted),
        int(nonzero),
        tuple(unknown_kernels(model)),
    )


def unknown_kernels(model: keras.Model) -> dict[str, keras.Variable]:
    """Return path -> variable of the trained matrices that hold zeros and aren't known as kernels."""
    known = {id(kernel) for kernel in PrunableChoice(frozen=True).kernels_of(model).values()}
    trained = {id(variable) for variable in model.trainable_variables} - known
    return {
        path: variable
        for path, variable in named_variables(model).items()
        if id(variable) in trained and len(variable.shape) > 1 and np.diff(_sizes(variable))[0]
    }


def _percent(part: int, whole: int) -> str:
    return f"{part / max(1, whole):.1%}"


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _sizes(kernel: keras.Variable) -> np.ndarray:
    """Return the number of weights, and of those that aren't 0.0."""
    return np.array([math.prod(kernel.shape), np.count_nonzero(ops.convert_to_numpy(kernel))], np.int64)


def _calls(model: keras.Layer, path: str) -> Iterator[tuple[str, keras.Layer, int | None]]:
    """Yield the path, the layer and its `_uses` for each call of a layer."""
    if (nodes := nodes_of(model)) is None:
        yield from ((path + layer.name, layer, None) for layer in children(model))
        return
    for node in nodes:
        layer, inputs, outputs = node.operation, node.input_tensors, node.outputs
        if isinstance(layer, keras.Model):
            yield from _calls(layer, f"{path}{layer.name}/")
        elif isinstance(layer, keras.Layer):
            yield path + layer.name, layer, _uses(layer, inputs[0].shape, outputs[0].shape)


def _uses(layer: keras.Layer, inputs: tuple, outputs: tuple) -> int | None:
    """Return how often each weight is used for one example, or None if that isn't known."""
    if isinstance(layer, layers.Dense):
        sizes = outputs[1:-1]
    elif isinstance(layer, layers.EinsumDense):
        read, _, kernel = layer.equation.split("->")[0].partition(",")
        read = read.replace("...", "." * (len(inputs) - len(read.replace("...", ""))))
        sizes = [size for axis, size in zip(read[1:], inputs[1:], strict=True) if axis not in kernel]
    elif isinstance(layer, (*_AT_OUTPUTS, *_AT_INPUTS)):
        shape = inputs if isinstance(layer, _AT_INPUTS) else outputs
        sizes = shape[1:-1] if layer.data_format == "channels_last" else shape[2:]
    else:
        return None
    return None if None in sizes else math.prod(sizes)
