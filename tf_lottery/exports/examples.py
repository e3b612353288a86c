"""Examples that an export is checked on: a user's arrays by input name, or random inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from tf_lottery.errors import LotteryError
from tf_lottery.exports.entry import token_inputs
from tf_lottery.exports.recurrent import fixed_batch, from_initial_state
from tf_lottery.exports.signature import Inputs, Signature
from tf_lottery.layers import inputs as drawn_inputs

RANDOM = 256
"""How many random inputs are drawn where no examples are given."""

_OPEN = 16
"""The size drawn for a dimension that a model leaves open, if all of its inputs are floats."""


def keras_input_names(model: keras.Model) -> list[list[str]]:
    """Return the model's own names of its inputs, and its keys if it has any, in the signature's order."""
    tensors, structure = getattr(model, "inputs", None) or [], getattr(model, "_inputs_struct", None)
    names = [[tensor.name for tensor in tensors]]
    if isinstance(structure, dict) and len(structure) == len(tensors):
        names.append(sorted(structure))  # the order in which Keras flattens a dictionary
    return names


def array_of(value: Any, what: str) -> np.ndarray:
    """Return a user's examples as an array.

    Args:
        value: The examples.
        what: What the examples are called in the message.

    Raises:
        LotteryError: If they can't be converted to an array with at least one dimension.
    """
    try:
        array = np.asarray(value)
    except Exception:  # for example arrays of several shapes, or tensors without a value
        array = None
    if array is None or not array.ndim:
        raise LotteryError(
            f"Expected {what} as an array, and (x, y) as a tuple. Received: {type(value).__name__} "
            f"{' '.join(repr(value).split()):.60}"
        )
    return array


def named_inputs(
    x: Any, signature: Signature, what: str = "test", also: Sequence[Sequence[str]] = (), pixels: bool = False
) -> Inputs:
    """Return a user's arrays as input name -> array.

    Args:
        x: One array, a list of arrays, or a dictionary of them.
        signature: The signature that they must fit.
        what: What the inputs are called in messages: "test" or "training".
        also: Further names that a dictionary may use, each list in the signature's order.
        pixels: Whether the model could be exported with `pixels=True`, which the message then suggests.

    Raises:
        LotteryError: If they don't fit the signature.
    """
    if isinstance(x, Mapping):
        fitting = [list(names) for names in (list(signature), *also) if set(names) == set(x)]
        if not fitting:
            raise LotteryError(f"Expected inputs {sorted(signature)}. Received: {sorted(map(str, x))}")
        if any(names != fitting[0] for names in fitting):
            raise LotteryError(
                f"The names of the {what} inputs, {sorted(map(str, x))}, are ambiguous: the model has them "
                f"as keys and, in another order, as input names. Give a list in the order {fitting[0]}."
            )
        values = [x[name] for name in fitting[0]]
    else:
        values = list(x) if isinstance(x, (list, tuple)) and len(signature) > 1 else [x]
    if len(values) != len(signature):
        raise LotteryError(f"Expected {len(signature)} inputs: {list(signature)}. Received: {len(values)}")
    arrays = {}
    for (name, spec), value in zip(signature.items(), values, strict=True):
        array = array_of(value, f"{what} inputs {name!r}")
        if spec.dtype == tf.string:
            array = _bytes_of(array)
        wanted = "fiub" if spec.dtype != tf.string else "S"
        if array.dtype.kind not in wanted or not spec.shape[1:].is_compatible_with(array.shape[1:]):
            raise LotteryError(
                f"Expected {what} inputs {name!r} of shape {tuple(spec.shape)} and {spec.dtype.name}. "
                f"Received: {array.shape}, {array.dtype}"
            )
        if spec.dtype == tf.string:
            arrays[name] = array
            continue
        if not np.isfinite(array).all():
            raise LotteryError(f"Expected finite {what} inputs {name!r}. Received: NaN or infinity")
        with np.errstate(invalid="ignore"):  # values that don't fit are refused below
            arrays[name] = array if spec.dtype == tf.uint8 else array.astype(spec.dtype.as_numpy_dtype)
        if spec.dtype.is_floating and array.dtype == np.uint8:
            raise LotteryError(
                f"Expected {what} inputs {name!r} of {spec.dtype.name}, as the model takes them. "
                "Received: uint8. "
                + (
                    "Scale them; or, with pixels=True, the exported file scales them by 1/255 itself."
                    if pixels
                    else f"The model may scale them itself. Convert them: x.astype('{spec.dtype.name}')."
                )
            )
        if spec.dtype.is_integer and (arrays[name] != array).any():
            raise LotteryError(
                f"Expected {what} inputs {name!r} of {spec.dtype.name}. Received: {array.dtype} with values "
                f"that {spec.dtype.name} can't hold"
            )
    if len({len(array) for array in arrays.values()}) > 1:
        raise LotteryError(
            f"Expected as many examples of each input. Received: {[len(array) for array in arrays.values()]}"
        )
    return arrays


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """Return an array of strings as bytes, text encoded in UTF-8; return any other array unchanged."""
    flat = [each.encode() if isinstance(each, str) else each for each in array.ravel().tolist()]
    if not all(isinstance(each, bytes) for each in flat):
        return array
    encoded = np.array(flat, dtype=np.bytes_).reshape(array.shape)
    return encoded if encoded.ravel().tolist() == flat else array  # NumPy drops zero bytes at the end


def random_inputs(signature: Signature, model: keras.Model) -> Inputs:
    """Return random inputs: floats from 0 to 1, and indices and words that the model accepts.

    Args:
        signature: The model's signature.
        model: A built model.
    """
    generator = np.random.default_rng(0)
    batch = fixed_batch(model)
    count = batch * max(2, RANDOM // batch) if batch else RANDOM
    tokens = token_inputs(model)
    names = list(signature)
    numeric = [
        name
        for number, (name, spec) in enumerate(signature.items())
        if number not in tokens and (spec.dtype == tf.uint8 or spec.dtype.is_floating)
    ]
    if len(numeric) < len(names):
        return _accepted_inputs(signature, model, count, batch or count, numeric, tokens)
    return {
        name: _floats(spec, [_OPEN] * len(spec.shape), count, generator) for name, spec in signature.items()
    }


def _accepted_inputs(
    signature: Signature, model: keras.Model, count: int, batch: int, numeric: list[str], tokens: set[int]
) -> Inputs:
    """Return the first of several draws on which the model doesn't fail, or else the last."""
    arrays: Inputs = {}
    for candidate in drawn_inputs.draw_inputs(model, count=count, indices=tokens):
        generator = np.random.default_rng(0)
        flat = [each.numpy() for each in tree.flatten(candidate)]
        arrays = {
            name: _floats(spec, value.shape, count, generator)
            if name in numeric
            else (_bytes_of(value) if spec.dtype == tf.string else value)
            for (name, spec), value in zip(signature.items(), flat, strict=True)
        }
        first = [tf.constant(arrays[name][:batch]) for name in signature]
        given = tree.pack_sequence_as(candidate, first)
        try:
            with from_initial_state(model):
                model(given, training=False)
            break
        except Exception:  # a layer may raise anything for a size or an index that it can't take
            continue
    return arrays


def _floats(
    spec: tf.TensorSpec, sizes: Sequence[int], count: int, generator: np.random.Generator
) -> np.ndarray:
    shape = [
        count,
        *(own if size is None else size for size, own in zip(spec.shape[1:], sizes[1:], strict=True)),
    ]
    if spec.dtype == tf.uint8:
        return generator.integers(0, 256, shape, np.uint8)
    return generator.random(shape).astype(spec.dtype.as_numpy_dtype)
