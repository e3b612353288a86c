"""How often each weight of a model is used for one example, and the FLOPs that follow from it.

A use is a multiplication and an addition, 2 FLOPs. Uses are counted in Dense and EinsumDense layers and in
convolutions; padding counts as if it were input. Biases, normalization, activations and whatever has no
kernel aren't counted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from tf_lottery.layers.access import kernels
from tf_lottery.layers.graph import has_own_call, nodes_of, plain_class, unwrapped
from tf_lottery.layers.kernels import PrunableChoice, unfit
from tf_lottery.layers.paths import children, holders, named_variables, own_weights, walk

# Layers that use each weight once at each position of the outputs, and transposed ones: of the inputs.
_AT_OUTPUTS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
)
_AT_INPUTS = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)

# Layers of Keras whose matrices are no kernels: looked up, added or multiplied elementwise.
_WITHOUT_KERNELS = (
    *(layers.Embedding, layers.PReLU, layers.BatchNormalization, layers.LayerNormalization),
    *(layers.GroupNormalization, layers.Normalization),
)


@dataclass(frozen=True)
class Flops:
    """The FLOPs of a prunable network for one example, forward.

    Attributes:
        dense: The FLOPs of all kernels, pruned weights and kernels that aren't prunable included; None if
            some kernel's aren't known.
        remaining: The part of these FLOPs that uses weights that aren't pruned.
        uncounted: The paths of the layers whose FLOPs aren't known: recurrent and attention layers, custom
            ones, those in a `call` of the user's own, and those with inputs of any size.
    """

    dense: int | None
    remaining: int | None
    uncounted: tuple[str, ...] = ()


def flops(model: keras.Model) -> Flops:
    """Return the FLOPs of a prunable network for one example, under its present masks.

    Args:
        model: A prunable model, from `make_prunable`.

    Raises:
        LotteryError: If the model isn't prunable.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> from tf_lottery.layers.flops import flops
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.2)
        >>> flops(model)
        Flops(dense=40, remaining=32, uncounted=())
    """
    by_kernel, uncounted = kernel_uses(model)
    if uncounted:
        return Flops(None, None, uncounted)
    masks = {path: ops.convert_to_numpy(mask) for path, (_, mask) in kernels(model).items()}
    sizes = {path: math.prod(variable.shape) for path, variable in named_variables(model).items()}
    remaining = {path: np.count_nonzero(masks[path]) if path in masks else sizes[path] for path in by_kernel}
    return Flops(
        2 * sum(uses * sizes[path] for path, uses in by_kernel.items()),
        2 * sum(uses * int(remaining[path]) for path, uses in by_kernel.items()),
    )


def kernel_uses(model: keras.Model) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return how often each kernel's weights are used for one example, and the layers where that is unknown.

    Args:
        model: A prunable or plain model.

    Returns:
        A mapping of kernel path -> uses of each of its weights, for kernels that are prunable and those that
        aren't; and the paths of the layers that use kernels in a way that isn't known.
    """
    paths = {id(variable): path for path, variable in named_variables(model).items()}
    chosen = PrunableChoice(frozen=True, strict=False).kernels_of(model)
    masked = {id(kernel) for holder in holders(model) for kernel, _ in holder.masked()}
    names = {id(layer): path or layer.name for path, layer, _ in walk(model)}
    known = masked | {id(kernel) for kernel in chosen.values()}
    uses = {paths[key]: 0 for key in known}
    uncounted = {names[id(layer)]: None for layer in _unknown(model, known, paths.keys() - known)}
    followed = not any(has_own_call(layer) for _, layer, _ in walk(model) if isinstance(layer, keras.Model))
    for _, layer, positions in layer_calls(model):
        used = [paths[id(variable)] for variable in layer.weights if id(variable) in known]
        if used and (positions is None or has_own_call(layer) or not followed):
            uncounted[names[id(layer)]] = None
        for path in used:
            uses[path] += positions or 0
    counted = uncounted or all(uses.values())
    never_called = () if counted else tuple(path for path, number in uses.items() if not number)
    return uses, (*uncounted, *never_called)


def layer_calls(model: keras.Layer, path: str = "") -> Iterator[tuple[str, keras.Layer, int | None]]:
    """Yield each call of a layer in a model: its path, the layer, and how often it uses each of its weights.

    Args:
        model: A prunable or plain model.
        path: What the paths begin with.

    Yields:
        The path, the layer (that in a `PrunableLayer`), and the uses of each weight of its kernels for one
        example, None if they aren't known. The layers of a model that is neither Sequential nor Functional
        come once each, without uses.
    """
    if (nodes := nodes_of(model)) is None:
        yield from ((path + layer.name, unwrapped(layer), None) for layer in children(model))
        return
    for node in nodes:
        layer, inputs, outputs = unwrapped(node.operation), node.input_tensors, node.outputs
        if isinstance(layer, keras.Model):
            yield from layer_calls(layer, f"{path}{layer.name}/")
        elif isinstance(layer, keras.Layer):
            yield path + layer.name, layer, _uses(layer, inputs[0].shape, outputs[0].shape)


def _unknown(model: keras.Model, known: set[int], others: set[int]) -> Iterator[keras.Layer]:
    """Yield the layers that may multiply by a matrix that isn't known as a kernel, or not by that alone.

    Args:
        model: A prunable or plain model.
        known: The ids of the kernels.
        others: The ids of the other variables, masks aside.
    """
    for _, layer, _ in walk(model):
        own = own_weights(layer)
        matrices = any(len(v.shape) > 1 and id(v) in others for v in own)
        # A matrix beside a kernel is a bias, as of a GRU; a user's own layer isn't counted anyway.
        suspect = matrices and not any(id(v) in known for v in own)
        harmless = isinstance(layer, _WITHOUT_KERNELS) and not has_own_call(layer)
        if unfit(layer) or (suspect and not harmless and not _is_ours(layer)):
            yield layer


def _is_ours(layer: keras.Layer) -> bool:
    return plain_class(layer).__module__.startswith("tf_lottery.")


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
