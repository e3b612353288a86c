"""Prunable models that Keras can't copy: the model itself holds the masks, and its `call` applies them.

Until it is stripped, the model has a new class that is derived from its own. In a model without a
`call` (whose `train_step` calls its layers), each layer that has kernels gets such a class instead.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.layers.masking import MaskedScope, add_mask, unguard
from tf_lottery.layers.paths import HoldsMasks, holders, named_variables, own_weights, walk

_NAME = "PrunableModel"


class PrunableModel(HoldsMasks):
    """Mixin that gives a model, or a layer, of any class its masks."""

    def masked(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Return pairs of a kernel and its mask variable."""
        return self._masked

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model, with zero gradients for pruned weights."""
        with MaskedScope(self._masked) as scope:
            outputs = super().call(*args, **kwargs)
        scope.give_losses(self)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the plain model's configuration, and the indices of its kernels among its weights."""
        prunable, self.__class__ = type(self), self._plain_class
        try:
            plain = keras.saving.serialize_keras_object(self)
        finally:
            self.__class__ = prunable
        plain.pop("compile_config", None)
        chosen = {id(kernel) for kernel, _ in self._masked}
        weights = list(named_variables(self).values())
        return {"plain": plain, "kernels": [i for i, v in enumerate(weights) if id(v) in chosen]}

    def get_build_config(self) -> None:
        """Return None: the plain model has its own build configuration."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping | None = None) -> keras.Model:
        """Return the prunable model, with masks of ones."""
        model = keras.saving.deserialize_keras_object(config["plain"], custom_objects=custom_objects)
        if not model.built:
            raise LotteryError(
                f"Expected a model that Keras can build when it loads it. Received: {type(model).__name__}. "
                "Give it a build method or get_build_config, or build it yourself and use load_weights."
            )
        weights = list(named_variables(model).items())
        return make_prunable_in_place(model, dict(weights[index] for index in config["kernels"]))

    def load_own_variables(self, store: Mapping) -> None:
        """Load the masks. A file of the plain model has none, and leaves them unchanged."""
        if len(store.keys()) == len(self._trainable_variables + self._non_trainable_variables) - len(
            self._masked
        ):
            masks = [kernel_mask for _, kernel_mask in self._masked]
            _untrack(self, masks)
            try:
                super().load_own_variables(store)
            finally:
                _track(self, masks)
        else:
            super().load_own_variables(store)


keras.saving.register_keras_serializable(package="tf_lottery", name=_NAME)(PrunableModel)


def make_prunable_in_place(
    model: keras.Model, kernels: Mapping[str, keras.Variable], why: str = ""
) -> keras.Model:
    """Give a built model masks of ones.

    Args:
        model: A built plain model.
        kernels: Path -> kernel variable.
        why: Why the model isn't copied, for messages.
    """
    if calls(model):
        _hold(model, {path.replace("/", "_"): kernel for path, kernel in kernels.items()})
    else:
        chosen = {id(kernel) for kernel in kernels.values()}
        for _, layer, _ in list(walk(model)):
            if own := {v.name: v for v in own_weights(layer) if id(v) in chosen}:
                _hold(layer, own)
    model.__dict__["_why_in_place"] = why
    _forget_functions(model)
    return model


def strip_in_place(model: keras.Model) -> keras.Model:
    """Give a model its own class back. Pruned weights stay 0.0."""
    for layer in held_in_place(model):
        pairs = layer.__dict__.pop("_masked")
        layer.__class__ = layer._plain_class
        _untrack(layer, [kernel_mask for _, kernel_mask in pairs])
        for kernel, _ in pairs:
            unguard(kernel)
    model.__dict__.pop("_why_in_place", None)
    _forget_functions(model)
    return model


def held_in_place(model: keras.Model) -> list["PrunableModel"]:
    """Return the model, or the layers in it, that were made prunable in place (an empty list if none)."""
    return [holder for holder in holders(model) if isinstance(holder, PrunableModel)]


def calls(model: keras.Model) -> bool:
    """Return whether a model has a `call`, rather than only a `train_step` that calls its layers."""
    return type(model).call not in (keras.Model.call, keras.Layer.call)


def _hold(layer: keras.Layer, kernels: Mapping[str, keras.Variable]) -> None:
    """Give a layer or a model masks, and the class that applies them in its `call`."""
    prunable, pairs = _class_of(type(layer)), []
    layer._tracker.unlock()
    try:
        for name, kernel in kernels.items():
            pairs.append((kernel, add_mask(layer, name, kernel)))
    finally:
        layer._tracker.lock()
    layer.__dict__["_masked"] = pairs  # not tracked, since the kernels belong to the layers
    layer.__class__ = prunable


@functools.cache
def _class_of(plain: type) -> type:
    # Keras finds this name in a file, whatever the plain class was.
    register = keras.saving.register_keras_serializable(package="tf_lottery", name=_NAME)
    return register(type(f"Prunable{plain.__name__}", (PrunableModel, plain), {"_plain_class": plain}))


def _untrack(model: keras.Model, variables: Sequence[keras.Variable]) -> None:
    for variable in variables:
        model._untrack_variable(variable)


def _track(model: keras.Model, variables: Sequence[keras.Variable]) -> None:
    model._tracker.unlock()
    try:
        for variable in variables:
            model._track_variable(variable)
    finally:
        model._tracker.lock()


def _forget_functions(model: keras.Model) -> None:
    """Make `fit`, `evaluate` and `predict` trace the model again, since it has changed."""
    model.train_function = model.test_function = model.predict_function = None
