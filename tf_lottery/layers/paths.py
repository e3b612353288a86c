"""Paths of all layers and variables in a model, from the outermost layer down.

A path consists of the names of the layers and the variable: `block/conv1/kernel`. A `PrunableLayer`
doesn't appear in it: the layer that it wraps has the same path as in the plain model.
"""

import itertools
from collections.abc import Iterator

import keras

Above = tuple[tuple[str, keras.Layer], ...]


class HoldsMasks:
    """Base class of everything that holds masks: a layer that wraps another, or a model."""

    def masked(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Return pairs of a kernel and its mask variable."""
        raise NotImplementedError

    def stands_for(self) -> keras.Layer | None:
        """Return the wrapped layer, which has this one's path, or None if it wraps none."""
        return None


def children(layer: keras.Layer) -> list[keras.Layer]:
    """Return the direct sublayers of a layer, in the order in which Keras lists their weights."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Return the variables of a layer that don't belong to one of its sublayers."""
    below = {id(variable) for child in children(layer) for variable in child.weights}
    return [variable for variable in layer.weights if id(variable) not in below]


def walk(model: keras.Layer) -> Iterator[tuple[str, keras.Layer, Above]]:
    """Yield the path, the layer and the layers above it, for a model and every layer in it, each once.

    The model itself comes first, with the path "".
    """
    yield from _walk(model, "", (), set())


def _walk(layer: keras.Layer, path: str, above: Above, seen: set[int]) -> Iterator:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if isinstance(layer, HoldsMasks) and (inner := layer.stands_for()) is not None:
        yield from _walk(inner, path, above, seen)
        return
    yield path, layer, above
    if path:
        above = (*above, (path, layer))
    for child in children(layer):
        yield from _walk(child, f"{path}/{child.name}" if path else child.name, above, seen)


def holders(model: keras.Layer) -> Iterator[HoldsMasks]:
    """Yield everything in a model that holds masks, in the order of the kernels, each once."""
    stack, seen = [model], set()
    while stack:
        layer = stack.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            stack += reversed(children(layer))
            if isinstance(layer, HoldsMasks):
                yield layer


def variables_without_masks(model: keras.Layer) -> list[keras.Variable]:
    """Return every variable of a prunable or plain model except the masks.

    Masks come before what they belong to, so the order is that of the plain model.
    """
    masks = {id(kernel_mask) for holder in holders(model) for _, kernel_mask in holder.masked()}
    return [variable for variable in model.variables if id(variable) not in masks]


def named_variables(model: keras.Layer) -> dict[str, keras.Variable]:
    """Return path -> variable for every variable of a prunable or plain model except the masks.

    The paths (`hidden1/kernel`, `hidden1/bias`) are those that masks have, and they and their order are the
    same for both kinds of model. If two variables would have the same path, the second one gets
    `...~2`. Variables that are no layer's weights, such as the seeds of dropout, are called
    `other/<index>`.
    """
    variables = variables_without_masks(model)
    ids = {id(variable) for variable in variables}
    paths: dict[int, str] = {}
    used: set[str] = set()
    for path, layer, _ in walk(model):
        for variable in own_weights(layer):
            if id(variable) in ids and id(variable) not in paths:
                own = f"{path}/{variable.name}" if path else variable.name
                numbers = (f"{own}~{number}" for number in itertools.count(2))
                while own in used:
                    own = next(numbers)
                used.add(own)
                paths[id(variable)] = own
    return {paths.get(id(v), f"other/{index:04d}"): v for index, v in enumerate(variables)}
