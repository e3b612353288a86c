"""Names for all that is in a model: the layers from the outermost down, and their variables.

A path is made of layers' names and the variable's own: `block/conv1/kernel`. A `PrunableLayer`
isn't seen: what it wraps has the path that it has in the plain model.
"""

import itertools
from collections.abc import Iterator

import keras

Above = tuple[tuple[str, keras.Layer], ...]


class HoldsMasks:
    """Base of what holds masks: a layer that stands for the one that it wraps, or a model."""

    def masked(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Return the pairs of kernel and mask."""
        raise NotImplementedError

    def stands_for(self) -> keras.Layer | None:
        """Return the layer that has its path, None if it has one of its own."""
        return None


def children(layer: keras.Layer) -> list[keras.Layer]:
    """Return the layers that a layer holds, in the order in which Keras counts their weights."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Return the variables of a layer that aren't those of a layer in it."""
    below = {id(variable) for child in children(layer) for variable in child.weights}
    return [variable for variable in layer.weights if id(variable) not in below]


def walk(model: keras.Layer) -> Iterator[tuple[str, keras.Layer, Above]]:
    """Yield path, layer and the layers above it, of a model and all that is in it, each once.

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
    """Yield all that holds masks in a model, in the order of their kernels, each once."""
    stack, seen = [model], set()
    while stack:
        layer = stack.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            stack += reversed(children(layer))
            if isinstance(layer, HoldsMasks):
                yield layer


def variables_without_masks(model: keras.Layer) -> list[keras.Variable]:
    """Return every variable of a prunable or plain model but the masks.

    Masks come before what they belong to, so the order is that of the plain model.
    """
    masks = {id(kernel_mask) for holder in holders(model) for _, kernel_mask in holder.masked()}
    return [variable for variable in model.variables if id(variable) not in masks]


def named_variables(model: keras.Layer) -> dict[str, keras.Variable]:
    """Return every variable of a prunable or plain model but the masks: path -> variable.

    Paths are those of masks (`hidden1/kernel`, `hidden1/bias`), the same for both kinds of
    model, in the same order. Where two variables would have one, the second is called
    `...~2`. What belongs to no layer's weights, such as the seeds of dropout, is
    `other/<index>`.
    """
    variables = variables_without_masks(model)
    there = {id(variable) for variable in variables}
    paths: dict[int, str] = {}
    taken: set[str] = set()
    for path, layer, _ in walk(model):
        for variable in own_weights(layer):
            if id(variable) in there and id(variable) not in paths:
                own = f"{path}/{variable.name}" if path else variable.name
                numbers = (f"{own}~{number}" for number in itertools.count(2))
                while own in taken:
                    own = next(numbers)
                taken.add(own)
                paths[id(variable)] = own
    return {paths.get(id(v), f"other/{index:04d}"): v for index, v in enumerate(variables)}
