"""Which channels of a model are needed, and which hold the same number for every input.

A channel is an index of a tensor's last axis. Dense layers and convolutions create new channels. Activations,
normalization, pooling, sums and the like pass channels on, so the channels before and after are kept or
removed together: they form one `Space`. Both answers are proven from the graph and from weights that are
exactly 0.0. An operation that isn't known here needs every channel of its inputs and of its outputs.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from keras import layers, ops, tree

from tf_lottery.exports.compact.constants import (
    DEPTHWISE,
    applied_to,
    constants_after,
    padded_constants,
)
from tf_lottery.exports.compact.space import SHARED, ChannelPlace, Space
from tf_lottery.layers.elementwise import is_elementwise
from tf_lottery.layers.graph import nodes_of

READERS = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)


@dataclass(frozen=True, eq=False)
class ChannelReader:
    """A Dense layer or a convolution, with the channels that it reads and those that it creates."""

    layer: keras.Layer
    source: ChannelPlace
    target: ChannelPlace

    @cached_property
    def kernel(self) -> np.ndarray:
        """The kernel, of shape (taps, inputs, units)."""
        kernel = ops.convert_to_numpy(self.layer.kernel)
        return kernel.reshape(-1, *kernel.shape[-2:])

    @cached_property
    def connected(self) -> np.ndarray:
        """Whether each input has any nonzero weight to each unit, of shape (inputs, units)."""
        return (self.kernel != 0).any(axis=0)

    @cached_property
    def inexact(self) -> np.ndarray:
        """The inputs that can't be folded into the bias."""
        return np.isnan(padded_constants(self.layer, self.source.constant))

    def folded(self, inputs: np.ndarray) -> np.ndarray:
        """Return what constant inputs, given as booleans, add to each unit."""
        rows = np.flatnonzero(inputs & (np.nan_to_num(self.source.constant) != 0))
        return self.source.constant[rows] @ self.kernel[:, rows].sum(axis=0, dtype=np.float64)

    def find_needed(self) -> None:
        """Mark the inputs that needed units read and that can't be folded as needed."""
        read = self.inexact & self.connected[:, self.target.needed].any(axis=1)
        name, varies = self.layer.name, np.isnan(self.source.constant)
        self.source.need(f"padding makes a constant channel inexact at the border of {name}", read & ~varies)
        self.source.need(f"padded or added to others, they vary where {name} reads them", read & varies)


class Channels:
    """The channels of a Functional or Sequential model.

    Args:
        model: A built Functional or Sequential model.

    Attributes:
        readers: The Dense layers and convolutions that can lose units, in the order of the model.
        followers: Layers with weights for each channel (BatchNormalization, depthwise) -> their channels.
        opaque: Names of operations that aren't understood -> the channels of their outputs.
        excluded: Layers of a known kind that are used in an unusual way -> which way that is.
    """

    def __init__(self, model: keras.Model):
        self.readers: list[ChannelReader] = []
        self.followers: dict[keras.Layer, ChannelPlace] = {}
        self.opaque: dict[str, list[ChannelPlace]] = {}
        self.excluded: dict[keras.Layer, str] = {}
        self._places: dict[int, ChannelPlace | None] = {}
        self._forced: list[tuple[ChannelPlace, str]] = []
        operations = [node.operation for node in nodes_of(model)]
        inner = [each._flatten_layers(include_self=False) for each in operations if hasattr(each, "weights")]
        self._uses = [id(each) for each in itertools.chain(operations, *inner)]
        self._need_all([], model.inputs, f"{SHARED}the model's inputs")
        for node in nodes_of(model):
            self._visit(node)
        self._need_all([self._places[id(tensor)] for tensor in model.outputs], [], "the model's outputs stay")
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
        if known and (why := _why_excluded(node, self._uses.count(id(operation)))):
            who = f"{operation.name}, which {why},"
            if type(operation) in (*READERS, *DEPTHWISE):
                self.excluded[operation] = why
        elif known and type(operation) in READERS:
            self._places[id(node.outputs[0])] = self._read(operation, sources[0])
            return
        elif known and (constant := constants_after(operation, tensors, sources)) is not None:
            self._places[id(node.outputs[0])] = self._pass_on(operation, sources, constant)
            return
        self._need_all(sources, [], f"{who} needs every channel")
        self._need_all([], node.outputs, f"{SHARED}the outputs of {who}")
        self.opaque[operation.name] = [place for t in node.outputs if (place := self._places[id(t)])]

    def _pass_on(self, operation, sources: list[ChannelPlace], constant: np.ndarray) -> ChannelPlace:
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
        if not is_elementwise(layer.activation):
            self._forced.append((target, f"the activation of {layer.name} needs every unit"))
            return target
        bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else 0.0
        moved = reader.connected[reader.inexact].any(axis=0)
        sums = np.where(moved, np.nan, bias + reader.folded(~reader.inexact))
        target.constant[:] = applied_to(layer.activation, sums)
        return target

    def _need_all(self, read: list[ChannelPlace | None], made: list, cause: str) -> None:
        for tensor in made:
            size = tensor.shape[-1] if len(tensor.shape) > 1 else None
            self._places[id(tensor)] = ChannelPlace(Space(size), 1, np.full(size, np.nan)) if size else None
        places = [*read, *(self._places[id(tensor)] for tensor in made)]
        self._forced += [(place, cause) for place in places if place]


def _why_excluded(node, uses: int) -> str | None:
    """Return in which unusual way an operation is used, or None if it is used as expected here."""
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
