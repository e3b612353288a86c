"""Plain Keras model -> prunable model, and back."""

import warnings

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import kernels, named_variables, variables_without_masks, walk
from tf_lottery.layers.kernels import KERNELS, kernel_names
from tf_lottery.layers.prunable import PrunableLayer


def make_prunable(model: keras.Model) -> keras.Model:
    """Return a copy of a model whose Dense and Conv2D layers are `PrunableLayer`s.

    The copy computes the same, to the last bit, until it is pruned. It carries over all
    weights and the arguments of `compile`, not the optimizer's state. Nested and shared
    layers are kept so.

    Args:
        model: a built Sequential or Functional Keras 3 model.

    Raises:
        LotteryError: not a Keras model, subclassed, not built, already prunable, or
            without a layer that can be pruned.

    Example:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.5)
        >>> lottery.sparsity(model)
        0.5
    """
    _check_clonable(model)
    layers = [layer for _, layer in walk(model)]
    if any(isinstance(layer, PrunableLayer) for layer in layers):
        raise LotteryError(f"Expected a plain Keras model. Received: {model.name!r}, already prunable")
    if not any(kernel_names(layer) for layer in layers):
        known = ", ".join(cls.__name__ for cls in KERNELS)
        kinds = sorted({type(layer).__name__ for layer in layers})
        raise LotteryError(
            f"Expected a model with layers that can be pruned ({known}). Received: {', '.join(kinds)}"
        )
    copy = _convert(model, lambda layer: PrunableLayer(_copy(layer)) if kernel_names(layer) else _copy(layer))
    if left := kernels_left_out(copy):
        warnings.warn(f"These weights can't be pruned yet and stay dense: {', '.join(left)}", stacklevel=2)
    return copy


def kernels_left_out(model: keras.Model) -> list[str]:
    """Return the paths of trainable weights of two or more dimensions that have no mask."""
    masked = {id(kernel) for kernel, _ in kernels(model).values()}
    trainable = {id(variable) for variable in model.trainable_variables} - masked
    return [
        path
        for path, variable in named_variables(model).items()
        if id(variable) in trainable and len(variable.shape) > 1
    ]


def strip(model: keras.Model) -> keras.Model:
    """Return the plain Keras model, zeros baked in: no `PrunableLayer`, no masks.

    It computes the same, to the last bit, and can be saved and loaded without
    tf_lottery installed (but for `vit`, which has layers of ours).

    Raises:
        LotteryError: if the model isn't prunable.
    """
    kernels(model)
    return _convert(model, lambda layer: _copy(layer.layer if isinstance(layer, PrunableLayer) else layer))


def _convert(model: keras.Model, clone_layer) -> keras.Model:
    def clone(layer):
        if isinstance(layer, keras.Model):  # Keras passes on only those that it can't take apart
            raise _subclassed(layer)
        return clone_layer(layer)

    compiled, model.compiled = model.compiled, False  # else Keras compiles some copies, not others
    try:
        copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    except LotteryError:
        raise
    except (ValueError, TypeError, NotImplementedError) as error:
        if not getattr(model, "inputs", None):
            raise _subclassed(model) from error
        reason = " ".join(str(error).split())[:200]
        raise LotteryError(
            f"Expected a model that Keras can copy. Received: {model.name!r} ({reason})"
        ) from error
    finally:
        model.compiled = compiled
    pairs = list(zip(variables_without_masks(model), variables_without_masks(copy), strict=True))
    for source, target in pairs:
        if source.shape != target.shape:
            raise RuntimeError(f"{source.path} and {target.path} don't correspond")
        target.assign(source)
    for source, target in zip(model.layers, copy.layers, strict=True):
        target.trainable = source.trainable
    if compiled and (settings := model.get_compile_config()):
        try:
            copy.compile_from_config(settings)
        except (TypeError, ValueError):
            warnings.warn(
                f"The copy of {model.name!r} isn't compiled, since Keras can't copy a loss or metric that is "
                "neither its own nor registered: call compile on the copy.",
                stacklevel=3,
            )
    return copy


def _copy(layer: keras.Layer) -> keras.Layer:
    copy = type(layer).from_config(layer.get_config())
    if hasattr(layer, "activation"):  # a user's own function may have the name of one of Keras's
        copy.activation = layer.activation
    return copy


def _check_clonable(model: keras.Model) -> None:
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, not built. "
            "Give it a keras.Input or call it once."
        )


def _subclassed(model: keras.Model) -> LotteryError:
    return LotteryError(
        f"Expected Sequential or Functional models, which Keras can copy. "
        f"Received: {type(model).__name__} {model.name!r}, a subclassed model"
    )
