"""A few inputs, taken before the first round, to build a model with and to compare copies on."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.in_place import calls
from tf_lottery.layers.inputs import draw_inputs
from tf_lottery.layers.paths import children, walk

EXAMPLES = 4


def inputs_for(model: keras.Model, arguments: Mapping[str, Any]) -> Any:
    """Return a few inputs that a built model takes: from the data if it is arrays, drawn otherwise.

    A `tf.data.Dataset` isn't read (it may shuffle, or have been opened once): inputs of its shapes and types
    are drawn.

    Args:
        model: The built model.
        arguments: The arguments of `fit`.

    Returns:
        The inputs, or None if the data is of another kind or the model has no call of its own.
    """
    x, count = arguments["x"], _batch_of(model)
    if isinstance(x, keras.utils.PyDataset):
        return _inputs(_first_of_arrays(_part_x(x[0]), count))
    if not isinstance(x, tf.data.Dataset):
        return _inputs(_first_of_arrays(x, count))
    structure = _symbols(arguments)
    if structure is None:  # only reading the data tells its structure
        return next((_part_x(element) for element in x.take(1)), None)
    for candidate in draw_inputs(model, structure):
        try:
            model(candidate, training=False)
        except Exception:  # whatever a layer raises on inputs that it doesn't take
            continue
        return candidate
    return None


def make_built(model: keras.Model, arguments: Mapping[str, Any]) -> None:
    """Build a model that isn't built yet from the shapes and types of its inputs, as `fit` does.

    Args:
        model: A model of any kind; one without a `call` of its own (its `train_step` calls its layers) is
            taken if those are built.
        arguments: The arguments of `fit`.

    Raises:
        LotteryError: If the model can't be built in this way.
    """
    if model.built and not any(not layer.built for _, layer, _ in walk(model)):
        return
    if not calls(model):
        if unbuilt := [
            path for path, layer, _ in walk(model) if path and not layer.built and _has_weights(layer)
        ]:
            raise LotteryError(
                f"{model.name!r} has no call of its own, so the search can't build {', '.join(unbuilt[:4])}. "
                "Build these layers first (layer.build, keras.Input)."
            )
        return
    if model.built and getattr(model, "inputs", None):
        return
    structure, reason = _symbols(arguments), "its inputs aren't arrays"
    if structure is not None:
        try:
            model(structure)
        except Exception as error:  # whatever a model of the user's own raises
            reason = reason_of(error)
    if not model.built:
        raise LotteryError(
            f"{model.name!r} can't be built from the data ({reason}). Give it a keras.Input, or call it once."
        )


def _batch_of(model: keras.Model) -> int:
    """Return the batch size of a model that has a fixed one, else `EXAMPLES`."""
    sizes = [tensor.shape[0] for tensor in getattr(model, "inputs", None) or []]
    return next((size for size in sizes if size), EXAMPLES)


def _has_weights(layer: keras.Layer) -> bool:
    return not isinstance(layer, keras.layers.InputLayer) and not children(layer)


def _symbols(arguments: Mapping[str, Any]) -> Any:
    """Return the inputs' structure as symbols, or None if it is unknown."""
    x = arguments["x"]
    if isinstance(x, tf.data.Dataset):
        inputs = _part_x(x.element_spec)
    elif isinstance(x, keras.utils.PyDataset):
        inputs = _part_x(x[0])
    else:
        inputs = _inputs(_first_of_arrays(x))
    if inputs is None:
        return None
    try:
        return tree.map_structure(_symbol, inputs)
    except (TypeError, ValueError, AttributeError):  # ragged, of unknown rank
        return None


def _symbol(each: Any) -> keras.KerasTensor:
    dtype = keras.backend.standardize_dtype(each.dtype)
    if dtype == "float64":
        dtype = keras.config.floatx()  # as Keras casts arrays
    return keras.KerasTensor(
        (None, *tuple(each.shape)[1:]), "string" if dtype in ("str", "object") else dtype
    )


def _part_x(element: Any) -> Any:
    return element[0] if isinstance(element, tuple) else element


def _first_of_arrays(x: Any, count: int = EXAMPLES) -> Any:
    try:
        return tree.map_structure(lambda each: _first(each, count), x)
    except Exception:  # data of a kind that only training reads
        return None


def _first(value: Any, count: int) -> np.ndarray:
    value = value.iloc[:count].to_numpy() if hasattr(value, "iloc") else value[:count]
    value = np.asarray(value)
    return value.astype(keras.config.floatx()) if value.dtype == np.float64 else value


def _inputs(x: Any) -> Any:
    if x is None:
        return None
    # Keras takes no mixture of arrays and tensors, so all become tensors.
    try:
        return tree.map_structure(lambda e: tf.constant(e.astype(str) if e.dtype.kind in "OUS" else e), x)
    except ValueError:  # bytes that aren't text
        return None
