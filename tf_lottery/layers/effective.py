"""The effective weights of a network: those that lie on a path from an input to an output.

A weight whose unit has no way from an input left, or no way to an output, changes nothing that the network
computes from its inputs, though its mask keeps it. Vysogorets & Kempe (2023, "Connectivity matters: neural
network pruning through the lens of effective sparsity") call the fraction that remains without them the
effective density.

Units are those of the graph: features of Dense layers and channels of convolutions. A channel counts as one
unit: it is connected to another if any weight between them remains. Data isn't looked at, so an input pixel
that is always 0 is an input like the others; values aren't either, only masks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import tree

from tf_lottery.layers.access import get_masks, kernels
from tf_lottery.layers.connections import Connections, connections
from tf_lottery.layers.graph import has_own_call, nodes_of, unwrapped
from tf_lottery.layers.kernels import unfit
from tf_lottery.pruning.masks import Masks


def effective_weights(
    model: keras.Model, masks: Mapping[str, np.ndarray] | None = None
) -> dict[str, int] | None:
    """Return how many of each kernel's remaining weights lie on a path from an input to an output.

    Args:
        model: A prunable model, from `make_prunable`.
        masks: Kernel path -> boolean array. Default: the model's own masks.

    Returns:
        Kernel path -> number of weights; None where it isn't proven for every layer of the model. Kernels
        that aren't prunable count as whole and have no entry.

    Raises:
        LotteryError: If the model isn't prunable.

    Examples:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> from tf_lottery.layers.effective import effective_weights
        >>> stack = [keras.Input((2,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(1, name="b")]
        >>> model = lottery.make_prunable(keras.Sequential(stack))
        >>> lottery.set_masks(model, {"a/kernel": np.ones((2, 2)), "b/kernel": np.array([[1], [0]])})
        >>> effective_weights(model)
        {'a/kernel': 2, 'b/kernel': 1}
    """
    found = effective_masks(model, masks)
    return None if found is None else {path: int(np.count_nonzero(mask)) for path, mask in found.items()}


def effective_masks(model: keras.Model, masks: Mapping[str, np.ndarray] | None = None) -> Masks | None:
    """Return the masks without the weights that lie on no path from an input to an output.

    Args:
        model: A prunable model, from `make_prunable`.
        masks: Kernel path -> boolean array. Default: the model's own masks.

    Returns:
        Kernel path -> boolean array; None where it isn't proven for every layer of the model.

    Raises:
        LotteryError: If the model isn't prunable.
    """
    masks = get_masks(model) if masks is None else {path: np.asarray(m, bool) for path, m in masks.items()}
    paths = {id(kernel): path for path, (kernel, _) in kernels(model).items()}
    try:
        trace = _Trace({key: masks[path] for key, path in paths.items()})
        outputs = trace.follow(
            model, [trace.units(tensor, True) for tensor in getattr(model, "inputs", None) or []]
        )
    except _NotProven:
        return None
    for units in outputs:
        units.needed[:] = True
    effective = trace.effective()
    # A kernel that no layer was seen to use may be used in a way that isn't known.
    if effective.keys() != paths.keys():
        return None
    return {path: effective[key] for key, path in paths.items()}


class _NotProven(Exception):
    """Raised at the first operation whose connections aren't proven."""


@dataclass(eq=False)
class _Units:
    """The units of one tensor: which of them inputs reach, and which of them outputs need."""

    reached: np.ndarray
    needed: np.ndarray


@dataclass
class _Trace:
    """The connections of a model in the order of a call, with what inputs reach.

    Attributes:
        masks: The id of a kernel -> its mask.
        links: The connections between tensors so far: source, connections, kept pairs, target.
    """

    masks: dict[int, np.ndarray]
    links: list[tuple[_Units, Connections, np.ndarray | None, _Units]] = field(default_factory=list)

    def units(self, tensor: keras.KerasTensor, reached: bool) -> _Units:
        if len(tensor.shape) < 2 or not tensor.shape[-1]:
            raise _NotProven
        return _Units(np.full(tensor.shape[-1], reached), np.zeros(tensor.shape[-1], bool))

    def follow(self, model: keras.Model, inputs: list[_Units]) -> list[_Units]:
        """Follow one call of a model and return the units of its outputs."""
        nodes = nodes_of(model)
        if nodes is None or has_own_call(model) or len(inputs) != len(model.inputs or []):
            raise _NotProven
        units = {id(tensor): each for tensor, each in zip(model.inputs, inputs, strict=True)}
        for node in nodes:
            self._visit(node, units)
        return _of(model.outputs, units)

    def _visit(self, node, units: dict[int, _Units]) -> None:
        operation, given = unwrapped(node.operation), node.arguments
        further = [value for value in given.kwargs.values() if value is not None and value is not False]
        if further or len(tree.flatten(given.args)) != len(node.input_tensors) or not node.input_tensors:
            raise _NotProven
        sources = _of(node.input_tensors, units)
        if isinstance(operation, keras.Model):
            if len(sources) > 1:  # which input is which may go by name
                raise _NotProven
            results = self.follow(operation, sources)
            units.update((id(tensor), each) for tensor, each in zip(node.outputs, results, strict=True))
            return
        (output,) = node.outputs if len(node.outputs) == 1 else (None,)
        shapes = [tensor.shape for tensor in node.input_tensors]
        links = None
        if output is not None and not (isinstance(operation, keras.Layer) and unfit(operation)):
            links = connections(operation, shapes, output.shape)
        if links is None:
            raise _NotProven
        target = units[id(output)] = self.units(output, False)
        for source, link in zip(sources, links, strict=True):
            kept = None if link.kernel is None else self._kept(link.kernel)
            target.reached |= link.forward(source.reached, kept)
            self.links.append((source, link, kept, target))

    def _kept(self, kernel: keras.Variable) -> np.ndarray:
        """Return between which units any weight remains. A kernel without a mask is whole."""
        mask = self.masks.get(id(kernel))
        if mask is None:
            return np.ones(kernel.shape[-2:], bool)
        return mask.reshape(-1, *mask.shape[-2:]).any(axis=0)

    def effective(self) -> dict[int, np.ndarray]:
        """Go back from the outputs, and return the effective part of each mask that was met."""
        found: dict[int, np.ndarray] = {}
        for source, link, kept, target in reversed(self.links):
            source.needed |= link.backward(target.needed, kept, len(source.needed))
            mask = None if link.kernel is None else self.masks.get(id(link.kernel))
            if mask is not None:
                needed = np.full_like(target.needed, target.needed.any()) if link.mixes else target.needed
                on_path = source.reached[link.inputs] & needed[link.outputs]
                found[id(link.kernel)] = found.get(id(link.kernel), False) | (mask & on_path)
        return found


def _of(tensors: Sequence[keras.KerasTensor], units: Mapping[int, _Units]) -> list[_Units]:
    if any(id(tensor) not in units for tensor in tensors):
        raise _NotProven
    return [units[id(tensor)] for tensor in tensors]
