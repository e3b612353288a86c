"""How a model was compiled, carried over to a copy."""

import warnings
from typing import Any

import keras
from keras import tree

from tf_lottery.errors import LotteryError


def compile_like(model: keras.Model, copy: keras.Model) -> keras.Model:
    """Compile a copy as the model was, if it was; return the copy.

    The optimizer is copied with its state. Losses are shared, also those that Keras couldn't read
    from a file; metrics are copied.
    """
    if not model.compiled:
        return copy
    settings = compile_settings(model)
    try:
        copy.compile(**settings)
        if copy.optimizer is not None:
            copy.optimizer.build(copy.trainable_variables)
            _carry_over(model.optimizer, copy.optimizer)
    except (TypeError, ValueError) as error:
        warnings.warn(
            f"The copy of {model.name!r} isn't compiled ({' '.join(str(error).split())[:120]}): "
            "call compile on the copy.",
            stacklevel=4,
        )
    return copy


def compile_settings(model: keras.Model) -> dict[str, Any]:
    """Return the arguments of `compile`, with a fresh optimizer and fresh metrics.

    Raises:
        LotteryError: if the model isn't compiled.
    """
    if not model.compiled or getattr(model, "_compile_config", None) is None:
        raise LotteryError(
            f"Expected a compiled model. Received: {model.name!r}, not compiled. Call model.compile first."
        )
    return {name: tree.map_structure(_fresh, value) for name, value in model._compile_config.config.items()}


def _carry_over(source: keras.optimizers.Optimizer, target: keras.optimizers.Optimizer) -> None:
    variables = list(zip(source.variables, target.variables, strict=False))
    same = len(source.variables) == len(target.variables) and all(a.shape == b.shape for a, b in variables)
    if source.built and same:
        for ours, theirs in variables:
            theirs.assign(ours)


def _fresh(value: Any) -> Any:
    if not isinstance(value, (keras.optimizers.Optimizer, keras.metrics.Metric)):
        return value
    try:
        return type(value).from_config(value.get_config())
    except (TypeError, ValueError, NotImplementedError):
        if isinstance(value, keras.metrics.Metric):
            return value  # it is reset each epoch
        raise
