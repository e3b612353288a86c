"""How a model was compiled, carried over to a copy."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import tree

from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.copying import CannotCopy, alike
from tf_lottery.layers.paths import variables_without_masks
from tf_lottery.layers.refers import refers

_OF_ITS_OWN = ("_lock", "_tracker", "_exclude_from_weight_decay_cache", "_distribution_strategy", "built")
"""Attributes of an optimizer that aren't settings."""


def compile_like(model: keras.Model, copy: keras.Model) -> keras.Model:
    """Compile a copy as the model was, if it was; return the copy.

    The optimizer is copied with its state, and with the settings that aren't in its configuration
    (`exclude_from_weight_decay`, attributes). Losses are shared, also those that Keras couldn't read
    from a file; metrics are copied.

    Raises:
        CannotCopy: a loss or metric that refers to the model, a setting that refers to its variables.
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
    if model.optimizer is not None:  # wrapped by loss scaling or not, whatever the policy is now
        settings |= {"optimizer": new_optimizer(model.optimizer), "auto_scale_loss": False}
    try:
        copy.compile(**settings)
        if copy.optimizer is not None:
            pairs = zip(variables_without_masks(model), variables_without_masks(copy), strict=True)
            carry_settings(model.optimizer, copy.optimizer, list(pairs))
            copy.optimizer.build(copy.trainable_variables)
            _carry_over(model.optimizer, copy.optimizer)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CannotCopy(f"the copy can't be compiled as it is: {reason_of(error)}") from error
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


def new_optimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return an optimizer of the same configuration, not built.

    A schedule, or a function, that gives the learning rate is shared: Keras can't read all of them from
    a configuration.
    """
    config = config_of(optimizer)
    if (inner := getattr(optimizer, "inner_optimizer", None)) is None:
        return type(optimizer).from_config(config)
    config.pop("inner_optimizer")
    return type(optimizer)(new_optimizer(inner), **config)


def config_of(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Return an optimizer's configuration, where its learning rate is the schedule or function itself."""
    inner = getattr(optimizer, "inner_optimizer", None)
    held = {
        id(each): (each, rate)
        for each in (optimizer, inner)
        if each is not None and not isinstance(rate := vars(each).get("_learning_rate"), keras.Variable)
    }
    try:
        for each, _ in held.values():
            vars(each)["_learning_rate"] = keras.Variable(0.0)
        config = optimizer.get_config()
    finally:
        for each, rate in held.values():
            vars(each)["_learning_rate"] = rate
    if id(optimizer) in held:
        config["learning_rate"] = held[id(optimizer)][1]
    return config if inner is None else {**config, "inner_optimizer": config_of(inner)}


def carry_settings(
    source: keras.optimizers.Optimizer,
    target: keras.optimizers.Optimizer,
    variables: Sequence[tuple[keras.Variable, keras.Variable]],
) -> None:
    """Give an optimizer, not built yet, the settings of another that its configuration leaves out.

    Args:
        source: whose settings.
        target: of the same class and configuration.
        variables: pairs of a variable of the source's model and the target's.

    Raises:
        CannotCopy: a setting that can't be told from state.
    """
    ours, theirs = vars(source), {id(v): other for v, other in variables}
    if keys := ours.get("_exclude_from_weight_decay"):
        found = {target._var_key(other) for v, other in variables if source._var_key(v) in keys}
        if len(found) != len(keys):
            raise CannotCopy("its optimizer excludes variables of another model from weight decay")
        target._exclude_from_weight_decay = found
    for name, value in ours.items():
        if name in _OF_ITS_OWN or name.startswith("_self_") or name == "_exclude_from_weight_decay":
            continue
        if isinstance(value, keras.optimizers.Optimizer):
            carry_settings(value, getattr(target, name), variables)
        elif not _holds_variables(value) and not alike(value, getattr(target, name, None)):
            setattr(target, name, value)
        elif name not in vars(target) and any(id(v) in theirs for v in tree.flatten(value)):
            # Variables of the model's own: what an optimizer makes itself, it makes when it is built.
            setattr(target, name, tree.map_structure(lambda v: theirs.get(id(v), v), value))


def _holds_variables(value: Any) -> bool:
    return any(isinstance(each, keras.Variable) for each in tree.flatten(value))


def _carry_over(source: keras.optimizers.Optimizer, target: keras.optimizers.Optimizer) -> None:
    variables = list(zip(source.variables, target.variables, strict=False))
    same = len(source.variables) == len(target.variables) and all(a.shape == b.shape for a, b in variables)
    if source.built and same:
        for ours, theirs in variables:
            theirs.assign(ours)
    elif source.built and int(source.iterations):
        warnings.warn(
            "The optimizer's state doesn't go along with the copy: what is trainable has changed since it "
            "was built. Training goes on from a fresh one.",
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
        return value  # it is reset each epoch
