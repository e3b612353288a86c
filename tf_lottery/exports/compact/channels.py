"""Which channels of a model are needed, and which hold the same number for every input.

A channel is an index of a tensor's last axis. Dense layers and convolutions make new channels;
activations, normalization, pooling, sums and the like hand them on, so those go or stay together: they
are one `Space`. Both answers are proven from the graph and from weights that are exactly 0.0. Of an
operation that isn't known here every channel is needed, of what it reads and of what it makes.
"""

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops, tree

READERS = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SHARED = "they share places with "
"""So begin the causes that say nothing of what a channel is used for."""

_UNCHANGED = {
    *(layers.Dropout, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout),
    *(layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.Identity, layers.ActivityRegularization),
    *(getattr(layers, f"{kind}Pooling{n}D") for kind in ("Max", "GlobalMax") for n in (1, 2, 3)),
    *(getattr(layers, f"{kind}Pooling{n}D") for kind in ("Average", "GlobalAverage") for n in (1, 2, 3)),
}

# Elementwise, and continuous: a constant is folded up to rounding.
_ACTIVATIONS = {
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh"),
    *("sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "softplus", "softsign"),
    *("squareplus", "soft_shrink", "sparse_plus", "sparse_sigmoid", "tanh_shrink", "exponential"),
}
_MODULES = (keras.activations, keras.ops, tf.nn)
_FUNCTIONS = {getattr(module, name, None) for module in _MODULES for name in _ACTIVATIONS} - {None}
_OPERATIONS = {name.replace("_", "") for name in _ACTIVATIONS}


@dataclass(eq=False)
class Space:
    """Channels that go or stay together, in all tensors that have them.

    Attributes:
        size: number of channels.
        causes: why channels are needed: end of a sentence -> which channels.
        merged: the space that this one became part of, before anything was needed.
    """

    size: int
    causes: dict[str, np.ndarray] = field(default_factory=dict)
    merged: "Space | None" = None

    @property
    def root(self) -> "Space":
        """The space that it was merged into, or itself."""
        return self if self.merged is None else self.merged.root

    def needed(self, but: str | None = None) -> np.ndarray:
        """Return whether each channel is, for more than causes that begin like this."""
        causes = [found for cause, found in self.root.causes.items() if not (but and cause.startswith(but))]
        return np.any([np.zeros(self.size, bool), *causes], axis=0)


@dataclass(frozen=True, eq=False)
class ChannelPlace:
    """Where a tensor has its channels.

    Attributes:
        space: of the channels.
        repeat: how many times the space follows itself on the last axis: the positions, once flattened.
        constant: by index of the last axis: the value at every position for every input, NaN if it varies.
    """

    space: Space
    repeat: int
    constant: np.ndarray

    @property
    def needed(self) -> np.ndarray:
        """Whether each index of the last axis is."""
        return np.tile(self.space.needed(), self.repeat)

    @property
    def kept(self) -> np.ndarray:
        """The indices that stay; those of the first channel if no other, since a layer needs a unit."""
        needed = self.space.needed()
        return np.flatnonzero(np.tile(needed if needed.any() else np.arange(len(needed)) == 0, self.repeat))

    def need(self, cause: str, indices: np.ndarray | bool) -> None:
        """Note which indices of the last axis are needed."""
        there = np.broadcast_to(indices, len(self.constant)).reshape(self.repeat, self.space.size).any(axis=0)
        causes = self.space.root.causes
        if there.any():
            causes[cause] = there | causes.get(cause, False)


@dataclass(frozen=True, eq=False)
class ChannelReader:
    """A Dense layer or a convolution: reads the channels of one place, makes those of another."""

    layer: keras.Layer
    source: ChannelPlace
    target: ChannelPlace

    @cached_property
    def kernel(self) -> np.ndarray:
        """Of shape (taps, inputs, units)."""
        kernel = ops.convert_to_numpy(self.layer.kernel)
        return kernel.reshape(-1, *kernel.shape[-2:])

    @cached_property
    def connected(self) -> np.ndarray:
        """Whether there is any weight from each input to each unit."""
        return (self.kernel != 0).any(axis=0)

    @cached_property
    def inexact(self) -> np.ndarray:
        """The inputs that can't be folded into the bias."""
        return np.isnan(_padded(self.layer, self.source.constant))

    def folded(self, inputs: np.ndarray) -> np.ndarray:
        """Return what constant inputs, given as booleans, add to each unit."""
        rows = np.flatnonzero(inputs & (np.nan_to_num(self.source.constant) != 0))
        return self.source.constant[rows] @ self.kernel[:, rows].sum(axis=0, dtype=np.float64)

    def find_needed(self) -> None:
        """Need what needed units read and can't be folded."""
        read = self.inexact & self.connected[:, self.target.needed].any(axis=1)
        name, varies = self.layer.name, np.isnan(self.source.constant)
        self.source.need(f"padding makes a constant channel inexact at the border of {name}", read & ~varies)
        self.source.need(f"padded or added to others, they vary where {name} reads them", read & varies)


class Channels:
    """The channels of a Functional or Sequential model.

    Attributes:
        readers: Dense layers and convolutions that are understood, in the order of the model.
        followers: layers with weights by channel (BatchNormalization, depthwise) -> their channels.
        made: operations that aren't understood, by name -> the places of what they make.
        aside: layers that would be understood, but are used in another way -> what that is.
    """

    def __init__(self, model: keras.Model):
        self.readers: list[ChannelReader] = []
        self.followers: dict[keras.Layer, ChannelPlace] = {}
        self.made: dict[str, list[ChannelPlace]] = {}
        self.aside: dict[keras.Layer, str] = {}
        self._places: dict[int, ChannelPlace | None] = {}
        self._forced: list[tuple[ChannelPlace, str]] = []
        operations = [node.operation for node in nodes_of(model)]
        inner = [each._flatten_layers(include_self=False) for each in operations if hasattr(each, "weights")]
        self._uses = [id(each) for each in itertools.chain(operations, *inner)]
        self._opaque([], model.inputs, f"{SHARED}the model's inputs")
        for node in nodes_of(model):
            self._visit(node)
        self._opaque([self._places[id(tensor)] for tensor in model.outputs], [], "the model's outputs stay")
        for place, cause in self._forced:
            place.need(cause, True)
        before = None
        while before != (before := [reader.source.needed.tobytes() for reader in self.readers]):
            for reader in reversed(self.readers):
                reader.find_needed()

    def _visit(self, node) -> None:
        operation, tensors = node.operation, node.input_tensors
        sources = [self._places.get(id(tensor)) for tensor in tensors]
        who = f"{operation.name} ({type(operation).__name__})"
        known = bool(sources) and None not in sources
        if known and (why := _why_aside(node, self._uses.count(id(operation)))):
            who = f"{operation.name}, which {why},"
            if type(operation) in (*READERS, *DEPTHWISE):
                self.aside[operation] = why
        elif known and type(operation) in READERS:
            self._places[id(node.outputs[0])] = self._read(operation, sources[0])
            return
        elif known and (constant := _handed_on(operation, tensors, sources)) is not None:
            self._places[id(node.outputs[0])] = self._hand_on(operation, sources, constant)
            return
        self._opaque(sources, [], f"{who} needs every channel")
        self._opaque([], node.outputs, f"{SHARED}what {who} makes")
        self.made[operation.name] = [place for t in node.outputs if (place := self._places[id(t)])]

    def _hand_on(self, operation, sources: list[ChannelPlace], constant: np.ndarray) -> ChannelPlace:
        first = sources[0]
        for source in sources[1:]:
            if source.space.root is not first.space.root:
                source.space.root.merged = first.space.root
        if getattr(operation, "weights", None):
            self.followers[operation] = first
        return ChannelPlace(first.space, first.repeat * (len(constant) // len(first.constant)), constant)

    def _read(self, layer: keras.Layer, source: ChannelPlace) -> ChannelPlace:
        units = layer.kernel.shape[-1]
        target = ChannelPlace(Space(units), 1, np.full(units, np.nan))
        self.readers.append(reader := ChannelReader(layer, source, target))
        if not _is_elementwise(layer.activation):
            self._forced.append((target, f"the activation of {layer.name} needs every unit"))
            return target
        bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else 0.0
        moved = reader.connected[reader.inexact].any(axis=0)
        sums = np.where(moved, np.nan, bias + reader.folded(~reader.inexact))
        target.constant[:] = _applied(layer.activation, sums)
        return target

    def _opaque(self, read: list[ChannelPlace | None], made: list, cause: str) -> None:
        for tensor in made:
            size = tensor.shape[-1] if len(tensor.shape) > 1 else None
            self._places[id(tensor)] = ChannelPlace(Space(size), 1, np.full(size, np.nan)) if size else None
        places = [*read, *(self._places[id(tensor)] for tensor in made)]
        self._forced += [(place, cause) for place in places if place]


def nodes_of(model: keras.Model) -> list | None:
    """Return the nodes of a Functional or Sequential model, inputs aside, in the order of a call."""
    by_depth = getattr(getattr(model, "_functional", model), "_nodes_by_depth", None)
    if by_depth is None:
        return None
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


def _why_aside(node, uses: int) -> str | None:
    """How an operation is used that is understood only when used in the common way."""
    layer, given = node.operation, node.arguments
    further = [value for value in given.kwargs.values() if value is not None and value is not False]
    if further or len(tree.flatten(given.args)) != len(node.input_tensors):
        return "is called with further arguments"
    if not isinstance(layer, keras.Layer):
        return None
    if uses > 1 and layer.weights:
        return "is used more than once"
    if layer.dtype_policy.name != "float32":
        return f"computes in {layer.dtype_policy.name}"
    if getattr(layer, "lora_enabled", False):
        return "has LoRA weights"
    grouped = getattr(layer, "groups", 1) != 1 or getattr(layer, "depth_multiplier", 1) != 1
    if grouped or getattr(layer, "data_format", None) == "channels_first":
        return "has channels first or in groups"
    return None


def _handed_on(operation, tensors: list, sources: list[ChannelPlace]) -> np.ndarray | None:
    """The constants after an operation that keeps channels apart, None if it isn't known to."""
    kind, constant = type(operation), sources[0].constant
    if kind is layers.Add or (kind.__name__ == "Add" and kind.__module__.startswith("keras.")):
        shapes = {(len(t.shape), s.space.size, s.repeat) for t, s in zip(tensors, sources, strict=True)}
        return np.sum([source.constant for source in sources], axis=0) if len(shapes) == 1 else None
    if kind in _UNCHANGED:
        return constant if getattr(operation, "noise_shape", None) is None else None
    if _is_elementwise(operation):
        return _applied(operation.call, constant)
    if kind in (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D):
        return np.where(constant == 0, constant, np.nan)
    shape = tensors[0].shape
    if kind is layers.Flatten and None not in shape[1:]:
        return np.tile(constant, math.prod(shape[1:-1]))
    if kind is layers.BatchNormalization and operation.axis in (-1, len(shape) - 1):
        return _normalized(operation, constant)
    if kind in DEPTHWISE and _is_elementwise(operation.activation):
        kernel = ops.convert_to_numpy(operation.kernel)[..., 0].reshape(-1, len(constant))
        filtered = _padded(operation, constant) * kernel.sum(axis=0, dtype=np.float64)
        filtered = np.where((kernel == 0).all(axis=0), 0.0, filtered)
        bias = ops.convert_to_numpy(operation.bias) if operation.use_bias else 0.0
        return _applied(operation.activation, filtered + bias)
    return None


def _padded(layer: keras.Layer, constant: np.ndarray) -> np.ndarray:
    """The constants that a layer reads: where it reads beyond the border, only 0.0 is one."""
    padded = getattr(layer, "padding", "valid") != "valid" and max(layer.kernel_size) > 1
    return np.where(constant == 0, constant, np.nan) if padded else constant


def _normalized(layer: layers.BatchNormalization, constant: np.ndarray) -> np.ndarray:
    variance = ops.convert_to_numpy(layer.moving_variance).astype(np.float64)
    gamma = ops.convert_to_numpy(layer.gamma) if layer.scale else 1.0
    beta = ops.convert_to_numpy(layer.beta) if layer.center else 0.0
    factor = gamma / np.sqrt(variance + layer.epsilon)
    return np.where(factor == 0, beta, (constant - ops.convert_to_numpy(layer.moving_mean)) * factor + beta)


def _is_elementwise(function) -> bool:
    kind = type(function)
    if kind is layers.ReLU:
        return not function.threshold  # it jumps there
    if kind is layers.Activation:
        return _is_elementwise(function.activation)
    if kind in (layers.LeakyReLU, layers.ELU) or any(function is known for known in _FUNCTIONS):
        return True
    return kind.__module__.startswith("keras.src.ops") and kind.__name__.lower() in _OPERATIONS


def _applied(function, constant: np.ndarray) -> np.ndarray:
    """The function of what is constant; what isn't finite counts as varying."""
    values = ops.convert_to_numpy(function(ops.convert_to_tensor(np.nan_to_num(constant), "float32")))
    return np.where(np.isfinite(constant) & np.isfinite(values), values, np.nan).astype(np.float64)
