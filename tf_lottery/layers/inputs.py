"""Inputs of the right signature for a model, drawn: to hold two models against each other."""

from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np
from keras import tree

from tf_lottery.layers.paths import walk

BATCH = 2
SIZES = (8, 32, 128)
"""Tried in this order for dimensions that a model leaves open: valid convolutions need some room."""
_INTEGERS = 10
"""Below which integers are drawn where no layer says how many there are."""
_WORDS = ("a", "a word", "Another one!")


def draw_inputs(
    model: keras.Model,
    structure: Any = None,
    seed: int = 0,
    count: int = BATCH,
    indices: Collection[int] = (),
) -> Iterator[Any]:
    """Yield inputs for a model, as its call takes them: one of these may do.

    Floats are standard normal; integers lie below what each Embedding of the model, and each
    layer with `num_tokens`, has room for; strings are from the vocabularies of its layers, and others.

    Args:
        model: built.
        structure: of symbolic tensors, as the call takes them. Default: the inputs of a Sequential or
            Functional model.
        seed: of the draw.
        count: of examples, where the model takes any number.
        indices: inputs, by number, that are drawn as integers whatever their type.
    """
    if structure is None:
        structure = getattr(model, "_inputs_struct", None)
        structure = model.inputs[0] if structure is None else structure
    tensors = tree.flatten(structure)
    whole = [_indexes(tensor) or number in indices for number, tensor in enumerate(tensors)]
    limits = [*dict.fromkeys((_limit(model), 2, 1))]
    open_sizes = any(size is None for tensor in tensors for size in tensor.shape[1:])
    for size in SIZES if open_sizes else SIZES[:1]:
        for limit in limits if any(whole) else limits[:1]:
            generator = np.random.default_rng(seed)
            flat = [
                _array(tensor, count, size, limit if index else None, _words(model), generator)
                for tensor, index in zip(tensors, whole, strict=True)
            ]
            yield tree.pack_sequence_as(structure, flat)


def _array(
    tensor: keras.KerasTensor, count: int, size: int, limit: int | None, words: list[str], generator
) -> Any:
    batch, *shape = tensor.shape
    batch = count if batch is None or count % batch == 0 else batch
    shape = [batch, *(size if each is None else each for each in shape)]
    if tensor.dtype == "string":
        return keras.ops.convert_to_tensor(generator.choice(words, shape))
    if tensor.dtype == "bool":
        return keras.ops.convert_to_tensor(generator.integers(0, 2, shape) == 1)
    if limit is not None:
        limit = min(limit, 256) if tensor.dtype in ("int8", "uint8") else limit
        return keras.ops.convert_to_tensor(generator.integers(0, limit, shape), tensor.dtype)
    return keras.ops.convert_to_tensor(generator.normal(size=shape), tensor.dtype)


def _indexes(tensor: keras.KerasTensor) -> bool:
    return tensor.dtype.startswith(("int", "uint"))


def _limit(model: keras.Model) -> int:
    rooms = [
        room
        for _, layer, _ in walk(model)
        for name in ("input_dim", "num_tokens")
        if isinstance(room := getattr(layer, name, None), int) and room > 0
    ]
    return min(rooms, default=_INTEGERS)


def _words(model: keras.Model) -> list[str]:
    words = []
    for _, layer, _ in walk(model):
        if isinstance(layer, (keras.layers.StringLookup, keras.layers.TextVectorization)):
            words += [word for word in layer.get_vocabulary()[:50] if word]
    return [*dict.fromkeys(words), *_WORDS]
