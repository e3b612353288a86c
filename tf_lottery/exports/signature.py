"""A model as a function of named tensors, and arrays as its inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from tf_lottery.errors import LotteryError

BATCH = 1000
"""Examples a call while outputs are compared. Both sides take the same: it can change the last bits."""

RANDOM = 256
"""Inputs drawn where no examples are given."""

Inputs = dict[str, np.ndarray]
Signature = dict[str, tf.TensorSpec]


def in_batches(function: Any, examples: Mapping[str, np.ndarray], batch: int = BATCH) -> Inputs:
    """Return a function's outputs on all examples, joined."""
    count = len(next(iter(examples.values())))
    parts = [
        {
            name: value.numpy()
            for name, value in function(
                **{name: tf.constant(array[start : start + batch]) for name, array in examples.items()}
            ).items()
        }
        for start in range(0, count, batch)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def function_of(model: keras.Model, signature: Signature) -> Any:
    """Return the model as a function of named tensors."""
    names = _output_names(model)
    structure = getattr(model, "_inputs_struct", None)

    @tf.function(autograph=False)
    def serve(**inputs):
        flat = [inputs[name] for name in signature]
        given = flat[0] if structure is None else tree.pack_sequence_as(structure, flat)
        answers = model(given, training=False)
        if isinstance(answers, dict):  # in the order in which Keras flattens it
            answers = dict(sorted(answers.items()))
        if not (isinstance(answers, dict) and all(map(tf.is_tensor, answers.values()))):
            flat = tree.flatten(answers)
            answers = dict(zip(names or _numbered(len(flat)), flat, strict=True))
        return {name: tf.convert_to_tensor(value) for name, value in answers.items()}

    return serve


def _output_names(model: keras.Model) -> list[str] | None:
    """Names of a model's outputs: `outputs`, or Keras's own where there are several."""
    if not getattr(model, "outputs", None):
        return None
    if len(model.outputs) == 1:
        return ["outputs"]
    names = model.output_names
    return names if len(set(names)) == len(model.outputs) else _numbered(len(model.outputs))


def _numbered(count: int) -> list[str]:
    return ["outputs"] if count == 1 else [f"output_{number}" for number in range(count)]


def signature_of(model: keras.Model, x: Any, pixels: bool) -> Signature:
    """Return input name -> shape and type, as the exported file takes them.

    Raises:
        LotteryError: a model that doesn't say and no examples; pixels for a model that takes none.
    """
    tensors = getattr(model, "inputs", None)
    if tensors:
        names = ["inputs"] if len(tensors) == 1 else _exported([tensor.name for tensor in tensors])
        specs = [
            tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
            for name, tensor in zip(names, tensors, strict=True)
        ]
    elif x is not None and not isinstance(x, (dict, list, tuple)):
        names = ["inputs"]
        specs = [tf.TensorSpec([None, *np.shape(x)[1:]], np.asarray(x).dtype, name="inputs")]
    else:
        raise LotteryError(
            f"Expected test_data as one array, since {model.name!r} doesn't say what its inputs are. "
            f"Received: {'none' if x is None else type(x).__name__}"
        )
    if pixels:
        if len(specs) != 1 or not specs[0].dtype.is_floating or not getattr(model, "inputs", None):
            raise LotteryError(
                "Expected a model with one input of floating-point numbers for pixels=True. Received: "
                f"{', '.join(f'{spec.name} {spec.dtype.name}' for spec in specs)}"
            )
        specs = [tf.TensorSpec(specs[0].shape, tf.uint8, name="inputs")]
    return dict(zip(names, specs, strict=True))


def _exported(names: Sequence[str]) -> list[str]:
    """Return names of inputs as TensorFlow, and Keras's export, make them fit for a SavedModel."""
    plain = ["".join(c if c.isascii() and c.isalnum() else "_" for c in name) for name in names]
    found = [name if name[0].isalpha() else f"arg_{name}" for name in plain]
    for name in found:
        if len(same := [each for each, own in zip(names, found, strict=True) if own == name]) > 1:
            raise LotteryError(
                "Expected inputs that an export can tell apart by letters, digits and _. Received: "
                f"{' and '.join(map(repr, same))}, each of which is {name!r} there. Rename one."
            )
    return found


def also_called(model: keras.Model) -> list[list[str]]:
    """Return the names that a model has for its inputs itself, in the signature's order."""
    tensors, structure = getattr(model, "inputs", None) or [], getattr(model, "_inputs_struct", None)
    found = [[tensor.name for tensor in tensors]]
    if isinstance(structure, dict) and len(structure) == len(tensors):
        found.append(sorted(structure))  # the order in which Keras flattens it
    return found


def array_of(value: Any, what: str) -> np.ndarray:
    """Return a user's examples as an array.

    Raises:
        LotteryError: what isn't one, with what it should have been.
    """
    try:
        array = np.asarray(value)
    except Exception:  # arrays of several shapes, tensors without a value
        array = None
    if array is None or not array.ndim:
        raise LotteryError(
            f"Expected {what} as an array, and (x, y) as a tuple. Received: {type(value).__name__} "
            f"{' '.join(repr(value).split()):.60}"
        )
    return array


def named(x: Any, signature: Signature, what: str = "test", also: Sequence[Sequence[str]] = ()) -> Inputs:
    """Return a user's arrays by name of the input.

    Args:
        x: one array, a list of them, or a dictionary.
        signature: that they are to fit.
        what: they are called in messages.
        also: further names by which a dictionary may call them, each list in the signature's order.

    Raises:
        LotteryError: if they don't fit.
    """
    if isinstance(x, Mapping):
        fitting = [list(names) for names in (list(signature), *also) if set(names) == set(x)]
        if not fitting:
            raise LotteryError(f"Expected inputs {sorted(signature)}. Received: {sorted(map(str, x))}")
        if any(names != fitting[0] for names in fitting):
            raise LotteryError(
                f"Expected {what} inputs by names that mean one thing. Received: {sorted(map(str, x))}, keys of "
                f"the model's inputs and, otherwise, their own names. Give a list, in the order {fitting[0]}."
            )
        values = [x[name] for name in fitting[0]]
    else:
        values = list(x) if isinstance(x, (list, tuple)) and len(signature) > 1 else [x]
    if len(values) != len(signature):
        raise LotteryError(f"Expected {len(signature)} inputs: {list(signature)}. Received: {len(values)}")
    arrays = {}
    for (name, spec), value in zip(signature.items(), values, strict=True):
        array = array_of(value, f"{what} inputs {name!r}")
        if array.dtype.kind not in "fiub" or not spec.shape.is_compatible_with(array.shape):
            raise LotteryError(
                f"Expected {what} inputs {name!r} of shape {tuple(spec.shape)} and {spec.dtype.name}. "
                f"Received: {array.shape}, {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise LotteryError(f"Expected finite {what} inputs {name!r}. Received: NaN or infinity")
        with np.errstate(invalid="ignore"):  # what doesn't fit is refused below
            arrays[name] = array if spec.dtype == tf.uint8 else array.astype(spec.dtype.as_numpy_dtype)
        if spec.dtype.is_floating and array.dtype == np.uint8:
            raise LotteryError(
                f"Expected {what} inputs {name!r} of {spec.dtype.name}, scaled as the model takes them. "
                "Received: uint8. With pixels=True the exported file scales them itself."
            )
        if spec.dtype.is_integer and (arrays[name] != array).any():
            raise LotteryError(
                f"Expected {what} inputs {name!r} of {spec.dtype.name}. Received: {array.dtype}, of which "
                f"{spec.dtype.name} can't hold all"
            )
    if len({len(array) for array in arrays.values()}) > 1:
        raise LotteryError(
            f"Expected as many examples of each input. Received: {[len(array) for array in arrays.values()]}"
        )
    return arrays


def drawn(signature: Signature) -> Inputs:
    """Return random inputs.

    Raises:
        LotteryError: for indices, whose range isn't known.
    """
    generator = np.random.default_rng(0)
    arrays = {}
    for name, spec in signature.items():
        shape = [RANDOM, *(16 if size is None else size for size in spec.shape[1:])]
        if spec.dtype == tf.uint8:
            arrays[name] = generator.integers(0, 256, shape, np.uint8)
        elif spec.dtype.is_floating:
            arrays[name] = generator.random(shape).astype(spec.dtype.as_numpy_dtype)
        else:
            raise LotteryError(
                f"Expected test_data, since inputs {name!r} of {spec.dtype.name} can't be drawn. "
                "Received: none"
            )
    return arrays
