"""Recurrent layers in exports: unrolling for runtimes without loops, and the state of stateful layers."""

import contextlib
from collections.abc import Iterator

import keras
from keras import tree

from tf_lottery.errors import LotteryError
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model
from tf_lottery.layers.paths import walk


def recurrent(layer: keras.Layer) -> list[keras.layers.RNN]:
    """Return the recurrent layers of a model, including those nested in other layers."""
    return [inner for _, inner, _ in walk(layer) if isinstance(inner, keras.layers.RNN)]


def unrolled(model: keras.Model) -> keras.Model:
    """Return a copy with all recurrent layers unrolled, checked to give the model's outputs.

    If they are all unrolled already, the model itself is returned.

    Raises:
        LotteryError: If the model can't be copied.
    """
    if all(layer.unroll for layer in recurrent(model)):
        return model
    try:
        return copy_model(model, _unrolled, close=True)
    except CannotCopy as error:
        raise LotteryError(
            f"LiteRT takes recurrent layers unrolled only, and {model.name!r} can't be copied to unroll them "
            f"({error}). Build it with unroll=True."
        ) from error


@contextlib.contextmanager
def fixed_steps(model: keras.Model) -> Iterator[None]:
    """Replace Keras's long error about unrolling an open number of time steps by one line."""
    try:
        yield
    except ValueError as error:
        if "Cannot unroll" not in str(error):
            raise
        raise LotteryError(
            "LiteRT takes recurrent layers unrolled only (files with select TF operations, which could loop, "
            f"aren't written), and the number of time steps of {model.name!r} is open. Fix it: "
            "keras.Input((steps, features))."
        ) from error


def _unrolled(layer: keras.Layer) -> keras.Layer:
    copy = copy_layer(layer)
    if isinstance(copy, keras.Layer):
        for inner in recurrent(copy):
            inner.unroll = True
    return copy


def states_of(model: keras.Layer) -> list[keras.Variable]:
    """Return the states that stateful layers keep between calls. (Keras doesn't list them as variables.)"""
    stateful = [layer for layer in recurrent(model) if layer.stateful and layer.states is not None]
    return list({id(state): state for layer in stateful for state in tree.flatten(layer.states)}.values())


def fixed_batch(model: keras.Layer) -> int | None:
    """Return the fixed batch size of a stateful model; None if the model takes any."""
    states = states_of(model)
    return int(states[0].shape[0]) if states else None


@contextlib.contextmanager
def from_initial_state(model: keras.Layer) -> Iterator[None]:
    """Reset a stateful model to its initial state, and restore its present state afterwards."""
    states = states_of(model)
    before = [state.numpy() for state in states]
    for state in states:
        state.assign(keras.ops.zeros_like(state))
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
