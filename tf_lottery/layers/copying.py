"""Copies of plain and prunable models, where Keras can make them."""

from collections.abc import Callable

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import HoldsMasks, variables_without_masks, walk


class CannotCopy(Exception):
    """Keras, or a layer in the model, can't be copied."""


def copy_layer(layer: keras.Layer) -> keras.Layer:
    """Return a layer of the same configuration, not built.

    Raises:
        CannotCopy: with the reason.
    """
    try:
        copy = type(layer).from_config(layer.get_config())
    except Exception as error:  # whatever a layer of the user's own raises
        raise CannotCopy(f"{type(layer).__name__}: {' '.join(str(error).split())[:160]}") from error
    for source, target in zip(_with_activations(layer), _with_activations(copy), strict=False):
        target.activation = source.activation  # a user's own function may have the name of one of Keras's
    return copy


def copy_model(model: keras.Model, clone_layer: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    """Copy structure and weights of a Sequential or Functional model; the copy isn't compiled.

    Args:
        model: built.
        clone_layer: layer -> its copy.

    Raises:
        CannotCopy: with the reason.
    """
    copy = _clone(model, clone_layer)
    sources, targets = variables_without_masks(model), variables_without_masks(copy)
    if type(copy) is not type(model):
        raise CannotCopy(f"Keras makes a {type(copy).__name__} of a {type(model).__name__}")
    if [v.shape for v in sources] != [v.shape for v in targets]:
        raise CannotCopy("the copy has other weights")
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)
    for source, target in zip(model.layers, copy.layers, strict=True):
        target.trainable = source.trainable
    return copy


def rebuild(model: keras.Model) -> keras.Model:
    """Return a new plain model of the same structure, its weights drawn afresh.

    Args:
        model: built; plain, or prunable, of which the plain one is built. A subclassed one needs a
            configuration that Keras can read.

    Raises:
        LotteryError: if there is no way to build it again.
    """
    plain_class = getattr(model, "_plain_class", type(model))
    try:
        if plain_class is not type(model):  # prunable in place
            plain = model.get_config()["plain"]
            copy = plain_class.from_config(plain["config"])
            copy.build_from_config(plain.get("build_config") or {})
        elif isinstance(model, keras.Sequential) or getattr(model, "inputs", None):
            copy = _clone(model, _copy_inner)
        else:
            copy = plain_class.from_config(model.get_config())
            copy.build_from_config(model.get_build_config() or {})
        shapes = [[variable.shape for variable in variables_without_masks(each)] for each in (model, copy)]
        if shapes[0] == shapes[1] and type(copy) is plain_class:
            return copy
        reason = "the copy has another class or other weights"
    except Exception as error:  # whatever a model of the user's own raises
        reason = " ".join(str(error).split())[:160]
    raise LotteryError(
        f"Expected a model that can be built again from its configuration. Received: {plain_class.__name__} "
        f"{model.name!r} ({reason}). Give a function that builds it instead of the model."
    )


def _copy_inner(layer: keras.Layer) -> keras.Layer:
    inner = layer.stands_for() if isinstance(layer, HoldsMasks) else None
    return copy_layer(inner or layer)


def _clone(model: keras.Model, clone_layer: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    compiled, model.compiled = model.compiled, False  # else Keras compiles some copies, not others
    try:
        return keras.models.clone_model(model, clone_function=clone_layer, recursive=True)
    except LotteryError:
        raise
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        raise CannotCopy(" ".join(str(error).split())[:200]) from error
    finally:
        model.compiled = compiled


def _with_activations(layer: keras.Layer) -> list[keras.Layer]:
    if not isinstance(layer, keras.Layer):  # an operation, such as a sum
        return []
    return [inner for _, inner, _ in walk(layer) if hasattr(inner, "activation")]
