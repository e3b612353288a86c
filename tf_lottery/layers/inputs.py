"""Draws inputs that fit a model, on which two models can be compared."""

from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np
from keras import tree

from tf_lottery.layers.paths import walk

BATCH = 2
SIZES = (8, 32, 128)
"""Sizes tried, in this order, for dimensions that a model leaves open: valid convolutions need some room."""
_INTEGERS = 10
"""Integers are drawn below this limit where no layer says how many there are."""
_WORDS = ("a", "a word", "Another one!")


def draw_inputs(
    model: keras.Model,
    structure: Any = None,
    seed: int = 0,
    count: int = BATCH,
    indices: Collection[int] = (),
) -> Iterator[Any]:
    """Yield candidates for a model's inputs, in the structure that its call takes; not all may work.

    Floats are standard normal. Integers are valid for every Embedding of the model and every
    layer with `num_tokens`. Strings come from the vocabularies of its layers, with a few others.

    Args:
        model: A built model.
        structure: Symbolic tensors in the structure that the call takes. Default: the inputs of a
            Sequential or Functional model.
        seed: Seed of the draw.
        count: Number of examples, if the model takes any number.
        indices: Numbers of the inputs that are drawn as integers whatever their type.
    """
    if structure is None:
        structure = getattr(model, "_inputs_struct", None)
        structure = model.inputs[0] if structure is None else structure
    tensors = tree.flatten(structure)
    integers = [_is_integer(tensor) or number in indices for number, tensor in enumerate(tensors)]
    limits = [*dict.fromkeys((_limit(model), 2, 1))]
    open_sizes = any(size is None for tensor in tensors for size in tensor.shape[1:])
    for size in SIZES if open_sizes else SIZES[:1]:
        for limit in limits if any(integers) else limits[:1]:
            generator = np.random.default_rng(seed)
            flat = [
                _array(tensor, count, size, limit if integer else None, _words(model), generator)
                for tensor, integer in zip(tensors, integers, strict=True)
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


def _is_integer(tensor: keras.KerasTensor) -> bool:
    return tensor.dtype.startswith(("int", "uint"))


def _limit(model: keras.Model) -> int:
    limits = [
        limit
        for _, layer, _ in walk(model)
        for name in ("input_dim", "num_tokens")
        if isinstance(limit := getattr(layer, name, None), int) and limit > 0
    ]
    return min(limits, default=_INTEGERS)


def _words(model: keras.Model) -> list[str]:
    words = []
    for _, layer, _ in walk(model):
        if isinstance(layer, (keras.layers.StringLookup, keras.layers.TextVectorization)):
            words += [word for word in layer.get_vocabulary()[:50] if word]
    return [*dict.fromkeys(words), *_WORDS]
