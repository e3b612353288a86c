"""The arguments of `fit`, checked before the first round. Data that can be read only once is refused."""

import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from tf_lottery import arrays
from tf_lottery.errors import LotteryError

_RESERVED = ("initial_epoch",)
_SETTINGS = (
    *("batch_size", "epochs", "steps_per_epoch", "validation_split", "validation_steps"),
    *("validation_freq", "shuffle"),
)


def arguments_by_name(positional: Sequence[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `fit` by name.

    Args:
        positional: The arguments after `x` and `y`, in Keras's order.
        arguments: The arguments that were given by name.

    Raises:
        LotteryError: If there are too many arguments, or one is given twice.
    """
    order = [name for name in inspect.signature(keras.Model.fit).parameters if name not in ("self", "x", "y")]
    if len(positional) > len(order):
        raise LotteryError(f"Expected at most {len(order) + 2} positional arguments. Received: more")
    by_position = dict(zip(order, positional, strict=False))
    if twice := by_position.keys() & arguments.keys():
        raise LotteryError(f"Expected each argument once. Received: {', '.join(sorted(twice))} twice")
    return {**by_position, **arguments}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check the arguments as far as that is possible before anything is trained.

    Args:
        arguments: The arguments of `fit`, `x` and `y` among them.

    Raises:
        LotteryError: If `fit` doesn't have an argument, or the data can be read only once.
    """
    known = inspect.signature(keras.Model.fit).parameters
    for name in arguments:
        if name not in known or name in _RESERVED:
            raise LotteryError(
                "Expected arguments of fit "
                f"({', '.join(n for n in known if n not in ('self', *_RESERVED))}). Received: {name!r}"
            )
    if arguments.get("x") is None:
        raise LotteryError("Expected training data. Received: x=None")
    validation = arguments.get("validation_data")
    parts = validation if isinstance(validation, (tuple, list)) else (validation,)
    given = [(name, arguments.get(name)) for name in ("x", "y", "sample_weight")]
    for name, value in (*given, *(("validation_data", part) for part in parts)):
        if hasattr(value, "__next__"):
            raise LotteryError(
                "Expected data that each round can read again: arrays, a tf.data.Dataset or a "
                f"keras.utils.PyDataset. Received: {name} as a {type(value).__name__}, readable only once"
            )
    if _endless(validation) and not arguments.get("validation_steps"):
        raise LotteryError("Expected validation_steps, since the validation data has no end. Received: none")
    if arguments.get("validation_split") and not hasattr(_first_leaf(arguments["x"]), "shape"):
        raise LotteryError(
            "Expected validation_data, since validation_split works only with arrays. Received: "
            f"validation_split={arguments['validation_split']!r}"
        )
    epochs = arguments.get("epochs", 1)
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise LotteryError(f"Expected epochs, a whole number from 1. Received: {epochs!r}")


def callbacks_of(arguments: Mapping[str, Any]) -> list[keras.callbacks.Callback]:
    """Return the callbacks as a list, however they were given."""
    return tree.flatten(arguments.get("callbacks") or [])


def validated(arguments: Mapping[str, Any]) -> bool:
    """Return whether there is validation data."""
    return arguments.get("validation_data") is not None or bool(arguments.get("validation_split"))


def steps_per_epoch(arguments: Mapping[str, Any]) -> int | None:
    """Return the number of steps in an epoch of `fit`, or None if only training can tell."""
    if arguments.get("steps_per_epoch"):
        return int(arguments["steps_per_epoch"])
    x = arguments["x"]
    if _endless(x):
        raise LotteryError("Expected steps_per_epoch, since the training data has no end. Received: none")
    if isinstance(x, tf.data.Dataset):
        count = int(x.cardinality())
        return count if count > 0 else None
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    if not hasattr(first := _first_leaf(x), "shape"):
        return None
    examples = int(first.shape[0])
    if split := arguments.get("validation_split"):
        examples = math.floor(examples * (1 - split))  # as Keras does
    return math.ceil(examples / (arguments.get("batch_size") or 32))


def check_reordered(arguments: Mapping[str, Any], arms: Sequence[str]) -> None:
    """Check that a seed can change the order of the examples, for arms that are trained in another order.

    Args:
        arguments: The arguments of `fit`.
        arms: The names of these arms.

    Raises:
        LotteryError: If `fit` doesn't shuffle the examples itself.
    """
    x = arguments["x"]
    shuffled = isinstance(x, keras.utils.PyDataset) or (
        not isinstance(x, tf.data.Dataset) and hasattr(_first_leaf(x), "shape")
    )
    if arms and not (shuffled and arguments.get("shuffle", True)):
        given = "shuffle=False" if shuffled else f"x as a {type(x).__name__}"
        raise LotteryError(
            f"Expected arrays that fit shuffles, since arms.{arms[0]} is trained in another order of the "
            f"examples. Received: {given}"
        )


def _endless(data: Any) -> bool:
    if isinstance(data, tf.data.Dataset):
        return int(data.cardinality()) == tf.data.INFINITE_CARDINALITY
    return isinstance(data, keras.utils.PyDataset) and data.num_batches is None


def _first_leaf(x: Any) -> Any:
    return next(iter(tree.flatten(x)), None)


def digest_of_data(arguments: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the arrays' values, and of what is known about data sets without reading them."""
    total = hashlib.sha256()
    for name in ("x", "y", "sample_weight", "validation_data"):
        for index, leaf in enumerate(tree.flatten(arguments.get(name))):
            total.update(f"{name}/{index}|".encode())
            if isinstance(leaf, tf.data.Dataset):
                total.update(f"{leaf.element_spec}|{int(leaf.cardinality())}".encode())
            elif isinstance(leaf, (np.ndarray, tf.Tensor)) or hasattr(leaf, "__array__"):
                array = np.asarray(leaf)
                if array.dtype.hasobject:
                    array = array.astype(str)
                total.update(arrays.digest({"": array}).encode())
            else:
                total.update(type(leaf).__name__.encode())
    return total.hexdigest()


def settings_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings among the arguments, as JSON holds them."""
    settings = {}
    for name in _SETTINGS:
        if arguments.get(name) is not None:
            value = arguments[name]
            settings[name] = value if isinstance(value, (bool, str)) else np.asarray(value).tolist()
    if arguments.get("class_weight"):
        settings["class_weight"] = {str(k): float(v) for k, v in arguments["class_weight"].items()}
    settings["callbacks"] = [type(callback).__name__ for callback in callbacks_of(arguments)]
    return settings
