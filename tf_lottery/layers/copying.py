"""Copies plain and prunable models with Keras, and checks that the copies are the same."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.paths import HoldsMasks, holders, variables_without_masks, walk
from tf_lottery.layers.refers import names_of_keras
from tf_lottery.layers.same import difference


class CannotCopy(Exception):
    """Keras, or a layer in the model, can't be copied."""


def copy_layer(layer: keras.Layer) -> keras.Layer:
    """Return a new, unbuilt layer of the same configuration.

    Raises:
        CannotCopy: If the layer can't be copied, with the reason.
    """
    if type(layer) is keras.layers.Lambda:  # Keras restores its function only if told to trust it
        settings = keras.Layer.get_config(layer)
        return keras.layers.Lambda(
            layer.function, layer._output_shape, layer.mask, layer.arguments, **settings
        )
    try:
        copy = type(layer).from_config(layer.get_config())
    except Exception as error:  # the user's layers may raise anything
        raise CannotCopy(f"{type(layer).__name__}: {reason_of(error)}") from error
    for source, target in zip(_with_activations(layer), _with_activations(copy), strict=False):
        target.activation = source.activation  # the user's function may be called like one of Keras's
    return copy


def copy_model(
    model: keras.Model,
    clone_layer: Callable[[keras.Layer], keras.Layer],
    inputs: Any = None,
    close: bool = False,
) -> keras.Model:
    """Copy structure, weights and all other state of a Sequential or Functional model.

    The copy isn't compiled. It is compared with the model: its outputs must be the same, bit for bit, in
    inference and in training, and it may not refer to any variable of the model.

    Args:
        model: A built Sequential or Functional model.
        clone_layer: Function that copies a layer.
        inputs: Examples on which to compare the outputs. By default they are drawn.
        close: Whether outputs may differ by rounding, because the copy adds in a different order.

    Raises:
        CannotCopy: If the model can't be copied, with the reason.
    """
    copy = _clone(model, clone_layer)
    if type(copy) is not type(model):
        raise CannotCopy(f"Keras copies a {type(model).__name__} as a {type(copy).__name__}")
    check_attributes(model, copy)
    carry_state(model, copy)
    check_copy(model, copy, inputs, close)
    return copy


def check_copy(model: keras.Model, copy: keras.Model, inputs: Any = None, close: bool = False) -> None:
    """Check that a copy is the same as the model; the arguments are those of `difference`.

    Raises:
        CannotCopy: If they differ, with the difference.
    """
    if reason := difference(model, copy, inputs, close):
        raise CannotCopy(reason)


def carry_state(model: keras.Layer, copy: keras.Layer) -> None:
    """Give a copy of the same structure the state of a model.

    The state consists of the variables, of what layers keep besides them in Keras's files (vocabularies,
    values that they derive from their variables), and of which layers and variables are trainable.

    Raises:
        CannotCopy: If the structure isn't the same.
    """
    sources, targets = variables_without_masks(model), variables_without_masks(copy)
    if [v.shape for v in sources] != [v.shape for v in targets]:
        raise CannotCopy("the copy has different weights")
    pairs = _pairs(model, copy)
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)
    for source, target in pairs:
        _carry_own(source, target)
    wrappers = {id(holder.stands_for()): holder for holder in holders(copy)}
    for source, target in pairs:  # outermost layers first: Keras passes the flag on to the inner ones
        wrappers.get(id(target), target).trainable = source.trainable
        target.trainable = source.trainable
    for source, target in zip(sources, targets, strict=True):
        target.trainable = source.trainable


def settle(model: keras.Layer) -> None:
    """Let layers recompute what they derive from their variables (Normalization does) after an assignment."""
    for _, layer, _ in walk(model):
        _carry_variables(layer, layer)


def check_attributes(model: keras.Model, copy: keras.Model) -> None:
    """Check that a copy of a user's own class has the attributes that were set on the model.

    Raises:
        CannotCopy: If it lacks an attribute, with its name.
    """
    if type(model).__module__.startswith("keras."):
        return
    usual = vars(keras.Model()).keys() | names_of_keras(type(model))
    for name, value in vars(model).items():
        if name in usual or name.startswith("_self_"):
            continue
        if not alike(value, getattr(copy, name, None)):
            raise CannotCopy(f"the copy lacks its attribute {name!r}")


def _carry_variables(source: keras.Layer, target: keras.Layer) -> None:
    """Copy a layer's variables as Keras's files do, if its class has its own way to load them."""
    own_way = type(source).load_own_variables is not keras.Layer.load_own_variables
    if own_way and source.built and not isinstance(source, (HoldsMasks, keras.Model)):
        store: dict[str, Any] = {}
        source.save_own_variables(store)
        target.load_own_variables(store)


def alike(value: Any, other: Any) -> bool:
    """Return whether two attributes hold the same setting, as far as can be determined."""
    if value is other or isinstance(value, (keras.Layer, keras.metrics.Metric, keras.optimizers.Optimizer)):
        return type(value) is type(other)
    if isinstance(value, (list, tuple)) and isinstance(other, Sequence) and len(value) == len(other):
        return all(alike(first, second) for first, second in zip(value, other, strict=True))
    try:
        return type(value) is type(other) and bool(np.all(np.asarray(value == other)))
    except Exception:  # comparing two objects may raise anything
        return False


def _pairs(model: keras.Layer, copy: keras.Layer) -> list[tuple[keras.Layer, keras.Layer]]:
    walks = zip(walk(model), walk(copy), strict=False)
    pairs = [(source, target) for (_, source, _), (_, target, _) in walks]
    for source, target in pairs[1:]:
        if getattr(source, "_plain_class", type(source)) is not type(target):
            raise CannotCopy(f"{source.name!r} is a {type(target).__name__} in the copy")
    return pairs


def _carry_own(source: keras.Layer, target: keras.Layer) -> None:
    if isinstance(source, (HoldsMasks, keras.Model)) or isinstance(target, HoldsMasks):
        return
    try:
        _carry_variables(source, target)
        if hasattr(source, "save_assets") and hasattr(target, "load_assets"):
            with tempfile.TemporaryDirectory(prefix="tf_lottery_") as directory:
                source.save_assets(directory)
                target.load_assets(directory)
    except Exception as error:  # the user's layers may raise anything
        raise CannotCopy(f"{source.name!r}: {reason_of(error)}") from error


def rebuild(model: keras.Model) -> keras.Model:
    """Return a new plain model of the same structure, with newly drawn weights.

    Args:
        model: A built model, plain or prunable. A subclassed model needs a configuration that Keras can
            load.

    Raises:
        LotteryError: If the model can't be built again.
    """
    prunable_class, plain_class = type(model), getattr(model, "_plain_class", type(model))
    try:
        if isinstance(model, keras.Sequential) or getattr(model, "inputs", None):
            try:
                model.__class__ = plain_class
                copy = _clone(model, _copy_inner)
            finally:
                model.__class__ = prunable_class
        elif plain_class is not prunable_class:  # prunable in place
            plain = model.get_config()["plain"]
            copy = plain_class.from_config(plain["config"])
            copy.build_from_config(plain.get("build_config") or {})
        else:
            copy = plain_class.from_config(model.get_config())
            copy.build_from_config(model.get_build_config() or {})
        shapes = [[variable.shape for variable in variables_without_masks(each)] for each in (model, copy)]
        if shapes[0] == shapes[1] and type(copy) is plain_class:
            return copy
        reason = "the copy has another class or different weights"
    except Exception as error:  # the user's models may raise anything
        reason = reason_of(error)
    raise LotteryError(
        f"Expected a model that can be built again from its configuration. Received: {plain_class.__name__} "
        f"{model.name!r} ({reason}). Give a function that builds it instead of the model."
    )


def _copy_inner(layer: keras.Layer) -> keras.Layer:
    inner = layer.stands_for() if isinstance(layer, HoldsMasks) else None
    return copy_layer(inner or layer)


def _clone(model: keras.Model, clone_layer: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    if not isinstance(model, keras.Sequential) and not getattr(model, "inputs", None):
        raise CannotCopy(f"Keras can't copy a model of class {type(model).__name__}")
    compiled, model.compiled = model.compiled, False  # otherwise Keras compiles some copies and not others
    try:
        return keras.models.clone_model(model, clone_function=clone_layer, recursive=True)
    except LotteryError:
        raise
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        raise CannotCopy(reason_of(error)) from error
    finally:
        model.compiled = compiled


def _with_activations(layer: keras.Layer) -> list[keras.Layer]:
    if not isinstance(layer, keras.Layer):  # an operation, such as a sum
        return []
    return [inner for _, inner, _ in walk(layer) if hasattr(inner, "activation")]
