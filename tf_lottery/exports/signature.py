"""A model as a function of named tensors, and the names, shapes and types of its inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from tf_lottery.errors import LotteryError
from tf_lottery.exports.recurrent import fixed_batch

BATCH = 1000
"""Examples a call while outputs are compared. Both sides use the same, since it can change the last bits."""

Inputs = dict[str, np.ndarray]
Signature = dict[str, tf.TensorSpec]


def in_batches(function: Any, examples: Mapping[str, np.ndarray], batch: int) -> Inputs:
    """Return a function's outputs on all examples, computed in batches and concatenated."""
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
        outputs = model(given, training=False)
        if isinstance(outputs, dict):  # sorted, as Keras flattens a dictionary
            outputs = dict(sorted(outputs.items()))
        if not (isinstance(outputs, dict) and all(map(tf.is_tensor, outputs.values()))):
            flat = tree.flatten(outputs)
            outputs = dict(zip(names or _numbered(len(flat)), flat, strict=True))
        return {name: tf.convert_to_tensor(value) for name, value in outputs.items()}

    return serve


def _output_names(model: keras.Model) -> list[str] | None:
    """Return the names of a model's outputs: `outputs`, or Keras's own names if there are several."""
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

    Args:
        model: A built model.
        x: The test inputs, which are used if the model doesn't declare its inputs.
        pixels: Whether the file takes uint8 pixels in place of floats.

    Raises:
        LotteryError: If neither the model nor `x` gives the inputs, or if the model can't take pixels.
    """
    tensors = getattr(model, "inputs", None)
    if tensors:
        names = ["inputs"] if len(tensors) == 1 else _exported([tensor.name for tensor in tensors])
        batch = fixed_batch(model)
        specs = [
            tf.TensorSpec([batch, *tensor.shape[1:]], tensor.dtype, name=name)
            for name, tensor in zip(names, tensors, strict=True)
        ]
    elif x is not None and not isinstance(x, (dict, list, tuple)):
        names = ["inputs"]
        specs = [tf.TensorSpec([None, *np.shape(x)[1:]], np.asarray(x).dtype, name="inputs")]
    else:
        raise LotteryError(
            f"Expected test_data as one array, since {model.name!r} doesn't declare its inputs. "
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
    """Return the names of inputs in a SavedModel, formed as TensorFlow and Keras's own export form them."""
    plain = ["".join(c if c.isascii() and c.isalnum() else "_" for c in name) for name in names]
    exported = [name if name[0].isalpha() else f"arg_{name}" for name in plain]
    for name in exported:
        if len(same := [each for each, own in zip(names, exported, strict=True) if own == name]) > 1:
            raise LotteryError(
                f"The inputs {' and '.join(map(repr, same))} would both be named {name!r} in an export, "
                "which keeps letters, digits and _ only. Rename one."
            )
    return exported
