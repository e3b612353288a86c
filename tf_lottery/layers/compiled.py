"""Compiles a copy of a model the way the model was compiled."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import tree

from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.copying import CannotCopy, alike
from tf_lottery.layers.paths import variables_without_masks
from tf_lottery.layers.refers import refers

_NOT_SETTINGS = ("_lock", "_tracker", "_exclude_from_weight_decay_cache", "_distribution_strategy", "built")
"""Attributes of an optimizer that aren't settings."""


def compile_like(model: keras.Model, copy: keras.Model) -> keras.Model:
    """Compile a copy of a model like the model itself, if that is compiled, and return the copy.

    The optimizer is copied with its state, and with the settings that aren't in its configuration
    (`exclude_from_weight_decay`, attributes). Losses are shared, even those that Keras couldn't load
    from a file; metrics are copied.

    Raises:
        CannotCopy: If the optimizer can't be copied, a loss or metric refers to the model, or the copy
            can't be compiled.
    """
    if not model.compiled:
        return copy
    try:
        settings = compile_settings(model)
    except (TypeError, ValueError, NotImplementedError) as error:  # an optimizer without a configuration
        raise CannotCopy(f"its optimizer can't be copied: {reason_of(error)}") from error
    for name in ("loss", "metrics", "weighted_metrics"):
        if any(refers(each, model) for each in tree.flatten(settings.get(name))):
            raise CannotCopy(f"its {name} refer{'s' if name == 'loss' else ''} to the model itself")
    if model.optimizer is not None:  # keeps its loss scaling, or has none, whatever the policy is now
        settings |= {"optimizer": new_optimizer(model.optimizer), "auto_scale_loss": False}
    try:
        copy.compile(**settings)
        if copy.optimizer is not None:
            pairs = zip(variables_without_masks(model), variables_without_masks(copy), strict=True)
            carry_settings(model.optimizer, copy.optimizer, list(pairs))
            copy.optimizer.build(copy.trainable_variables)
            _carry_state(model.optimizer, copy.optimizer)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CannotCopy(f"the copy can't be compiled like the model: {reason_of(error)}") from error
    return copy


def compile_settings(model: keras.Model) -> dict[str, Any]:
    """Return the arguments of `compile`, with a fresh optimizer and fresh metrics.

    Raises:
        LotteryError: If the model isn't compiled.
    """
    if not model.compiled or getattr(model, "_compile_config", None) is None:
        raise LotteryError(
            f"Expected a compiled model. Received: {model.name!r}, not compiled. Call model.compile first."
        )
    return {name: tree.map_structure(_fresh, value) for name, value in model._compile_config.config.items()}


def new_optimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return a new, unbuilt optimizer of the same configuration.

    A schedule or function that gives the learning rate is shared, since Keras can't restore all of
    them from a configuration.
    """
    config = config_of(optimizer)
    if (inner := getattr(optimizer, "inner_optimizer", None)) is None:
        return type(optimizer).from_config(config)
    config.pop("inner_optimizer")
    return type(optimizer)(new_optimizer(inner), **config)


def config_of(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Return an optimizer's configuration, with the learning rate's schedule or function itself in it."""
    inner = getattr(optimizer, "inner_optimizer", None)
    schedules = {
        id(each): (each, rate)
        for each in (optimizer, inner)
        if each is not None and not isinstance(rate := vars(each).get("_learning_rate"), keras.Variable)
    }
    try:
        for each, _ in schedules.values():
            vars(each)["_learning_rate"] = keras.Variable(0.0)
        config = optimizer.get_config()
    finally:
        for each, rate in schedules.values():
            vars(each)["_learning_rate"] = rate
    if id(optimizer) in schedules:
        config["learning_rate"] = schedules[id(optimizer)][1]
    return config if inner is None else {**config, "inner_optimizer": config_of(inner)}


def carry_settings(
    source: keras.optimizers.Optimizer,
    target: keras.optimizers.Optimizer,
    variables: Sequence[tuple[keras.Variable, keras.Variable]],
) -> None:
    """Give an unbuilt optimizer the settings of another one that its configuration leaves out.

    Args:
        source: The optimizer whose settings to copy.
        target: An unbuilt optimizer of the same class and configuration.
        variables: Pairs of a variable of the source's model and its counterpart in the target's model.

    Raises:
        CannotCopy: If the source excludes variables of another model from weight decay.
    """
    settings, counterparts = vars(source), {id(v): other for v, other in variables}
    if keys := settings.get("_exclude_from_weight_decay"):
        target_keys = {target._var_key(other) for v, other in variables if source._var_key(v) in keys}
        if len(target_keys) != len(keys):
            raise CannotCopy("its optimizer excludes variables of another model from weight decay")
        target._exclude_from_weight_decay = target_keys
    for name, value in settings.items():
        if name in _NOT_SETTINGS or name.startswith("_self_") or name == "_exclude_from_weight_decay":
            continue
        if isinstance(value, keras.optimizers.Optimizer):
            carry_settings(value, getattr(target, name), variables)
        elif not _holds_variables(value) and not alike(value, getattr(target, name, None)):
            setattr(target, name, value)
        elif name not in vars(target) and any(id(v) in counterparts for v in tree.flatten(value)):
            # These are variables of the model. The optimizer creates its own when it is built.
            setattr(target, name, tree.map_structure(lambda v: counterparts.get(id(v), v), value))


def _holds_variables(value: Any) -> bool:
    return any(isinstance(each, keras.Variable) for each in tree.flatten(value))


def _carry_state(source: keras.optimizers.Optimizer, target: keras.optimizers.Optimizer) -> None:
    variables = list(zip(source.variables, target.variables, strict=False))
    same = len(source.variables) == len(target.variables) and all(a.shape == b.shape for a, b in variables)
    if source.built and same:
        for source_variable, target_variable in variables:
            target_variable.assign(source_variable)
    elif source.built and int(source.iterations):
        warnings.warn(
            "The optimizer's state isn't copied, since other weights are trainable than when it was built. "
            "Training continues with a new optimizer state.",
            stacklevel=5,
        )


def _fresh(value: Any) -> Any:
    if isinstance(value, keras.optimizers.Optimizer):
        return new_optimizer(value)
    if not isinstance(value, keras.metrics.Metric):
        return value
    try:
        return type(value).from_config(value.get_config())
    except (TypeError, ValueError, NotImplementedError):
        return value  # shared, which is harmless: metrics are reset every epoch
