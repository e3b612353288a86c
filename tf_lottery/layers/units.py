"""The units of a network's layers: which weights lead to which, and which of them are the outputs."""

from collections.abc import Iterator, Mapping

import keras
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.layers.graph import has_own_call, nodes_of, plain_class, unwrapped
from tf_lottery.layers.paths import named_variables, own_weights, walk
from tf_lottery.pruning.patterns import Pattern

UNIT_AXES: dict[type, int] = {
    **dict.fromkeys((layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D), 1),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), 2),
}
"""Layer -> how many of the last axes of its kernel number its units. If it is one, the axis before it numbers
the inputs. Of layers that aren't a line here, recurrent ones and attention above all, it isn't known."""


def unit_axes(model: keras.Model) -> dict[str, int]:
    """Return kernel path -> how many of its last axes number the layer's units, where that is known.

    Args:
        model: A built model, prunable or plain.
    """
    paths = {id(variable): path for path, variable in named_variables(model).items()}
    return {paths[kernel]: axes for layer in _layers(model) for kernel, axes in _kernels(layer)}


def check_units(model: keras.Model, pattern: Pattern, rates: Mapping[str, float], what: str) -> None:
    """Check that a pattern is known for all kernels that are pruned, and spares the network's outputs.

    Args:
        model: A prunable model.
        pattern: The pattern, not that of single weights.
        rates: Kernel path -> rate; 0 leaves a kernel whole.
        what: What has the pattern, for the error message, such as `Pattern 'units'`.

    Raises:
        LotteryError: If a kernel's units or inputs aren't known, or units of the outputs would be pruned.
    """
    known = unit_axes(model)
    for path, rate in rates.items():
        if rate > 0 and known.get(path, 0) not in ((1, 2) if pattern.kind == "units" else (1,)):
            lacks = "units" if pattern.kind == "units" else "inputs and outputs"
            raise LotteryError(
                f"{what} is for Dense layers and convolutions, and what are the {lacks} of {path} isn't "
                f"known. Leave it whole with layer_rates: {{{_layer(path)}: 0}}."
            )
    if pattern.kind != "units" or not any(rates.values()):
        return
    paths = {id(variable): path for path, variable in named_variables(model).items()}
    if nodes_of(model) is None or has_own_call(model):
        raise LotteryError(
            f"{what} is for Sequential and Functional models, in whose graph one sees which layers give the "
            f"outputs. Received: {plain_class(model).__name__} {model.name!r}"
        )
    for kernel in _giving_outputs(model):
        path = paths.get(kernel)
        if rates.get(path, 0) > 0:
            raise LotteryError(
                f"{what} would prune {path}, whose units are the network's outputs. Keep them all with "
                f"layer_rates: {{{_layer(path)}: 0}}."
            )


def _layer(path: str) -> str:
    return path.rpartition("/")[0]


def _layers(model: keras.Layer) -> Iterator[keras.Layer]:
    return (layer for _, layer, _ in walk(model))


def _kernels(layer: keras.Layer) -> list[tuple[int, int]]:
    """Return the id of a layer's own kernel, and how many of its last axes number units, if that is known."""
    axes = UNIT_AXES.get(plain_class(layer))
    return [(id(v), axes) for v in own_weights(layer) if v.name == "kernel"] if axes else []


def _giving_outputs(model: keras.Model) -> set[int]:
    """Return the ids of the kernels whose units are, as far as the graph tells, the network's outputs.

    From the outputs back, up to the first Dense layer or convolution on each way. Whatever lies between may
    pass units on. So may a layer that isn't known, and one that it contains may give what it returns.
    """
    kernels: set[int] = set()
    _go_back(model, kernels)
    return kernels


def _go_back(model: keras.Model, kernels: set[int]) -> bool:
    """Collect the kernels of one model, and return whether a way from its outputs leads to its inputs."""
    nodes = {id(tensor): node for node in nodes_of(model) for tensor in node.outputs}
    stack, seen, leads_through = list(model.outputs), set(), False
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        node = nodes.get(id(tensor))
        if node is None:
            leads_through = True
            continue
        operation = unwrapped(node.operation)
        if isinstance(operation, keras.Model) and nodes_of(operation) and not has_own_call(operation):
            goes_on = _go_back(operation, kernels)
        else:
            inner = _layers(operation) if isinstance(operation, keras.Layer) else ()
            kernels |= {kernel for layer in inner for kernel, _ in _kernels(layer)}
            goes_on = UNIT_AXES.get(plain_class(operation)) != 1
        stack += node.input_tensors if goes_on else []
    return leads_through
