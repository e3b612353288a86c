"""Models that Keras can't copy: the masks are the model's own, and its `call` runs under them.

The model gets a class of its own, derived from the one it had, until it is stripped. Of a model without a
`call` (its `train_step` calls its layers) each layer that has kernels does.
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
    """What a prunable model of the user's own class does besides."""

    def masked(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Return the pairs of kernel and mask variable."""
        return self._masked

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model; gradients of pruned weights are zero."""
        with MaskedScope(self._masked) as scope:
            outputs = super().call(*args, **kwargs)
        scope.give_losses(self)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the plain model's, and which of its weights are kernels."""
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
        """Return nothing: the plain model is built by its own."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping | None = None) -> keras.Model:
        """Return the model, prunable, all masks ones."""
        model = keras.saving.deserialize_keras_object(config["plain"], custom_objects=custom_objects)
        if not model.built:
            raise LotteryError(
                f"Expected a model that Keras can build when it loads it. Received: {type(model).__name__}, "
                "which needs a build method or get_build_config. Or build it yourself and use load_weights."
            )
        weights = list(named_variables(model).items())
        return make_prunable_in_place(model, dict(weights[index] for index in config["kernels"]))

    def load_own_variables(self, store: Mapping) -> None:
        """Read the masks; a file of the plain model, which has none, leaves them as they are."""
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
    """Give a built model masks, all ones.

    Args:
        model: plain.
        kernels: path -> variable.
        why: the reason why it isn't copied, for who asks.
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
    """Give a model its own class back; zeros stay."""
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
    """Return the model, or the layers in it, that were made prunable in place; [] if none was."""
    return [holder for holder in holders(model) if isinstance(holder, PrunableModel)]


def calls(model: keras.Model) -> bool:
    """Return whether a model has a `call`; one that only trains its layers in a `train_step` has none."""
    return type(model).call not in (keras.Model.call, keras.Layer.call)


def _hold(layer: keras.Layer, kernels: Mapping[str, keras.Variable]) -> None:
    """Give a layer, or a model, masks and the class that runs it under them."""
    prunable, pairs = _class_of(type(layer)), []
    layer._tracker.unlock()
    try:
        for name, kernel in kernels.items():
            pairs.append((kernel, add_mask(layer, name, kernel)))
    finally:
        layer._tracker.lock()
    layer.__dict__["_masked"] = pairs  # not tracked: kernels are the layers'
    layer.__class__ = prunable


@functools.cache
def _class_of(plain: type) -> type:
    # What is loaded is found under this name, whatever the class was.
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
    """Let `fit` and its like trace anew: they have seen the model as it was."""
    model.train_function = model.test_function = model.predict_function = None
