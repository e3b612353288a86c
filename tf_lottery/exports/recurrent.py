"""Recurrent layers in an export: unrolled where a runtime has no loops, and the state of stateful ones."""

import contextlib
from collections.abc import Iterator

import keras
from keras import tree

from tf_lottery.errors import LotteryError
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model
from tf_lottery.layers.paths import walk


def recurrent(layer: keras.Layer) -> list[keras.layers.RNN]:
    """Return the recurrent layers in a model, those within others included."""
    return [inner for _, inner, _ in walk(layer) if isinstance(inner, keras.layers.RNN)]


def unrolled(model: keras.Model) -> keras.Model:
    """Return a copy whose recurrent layers are unrolled, proven to answer the same; the model if all are.

    Raises:
        LotteryError: a model that can't be copied.
    """
    if all(layer.unroll for layer in recurrent(model)):
        return model
    try:
        return copy_model(model, _unrolled, close=True)
    except CannotCopy as error:
        raise LotteryError(
            "Expected a model whose recurrent layers can be unrolled, as LiteRT takes them. "
            f"Received: {model.name!r} ({error}). Build it with unroll=True."
        ) from error


@contextlib.contextmanager
def fixed_steps(model: keras.Model) -> Iterator[None]:
    """Say in one line what Keras says at length of an unrolled model whose number of steps is open."""
    try:
        yield
    except ValueError as error:
        if "Cannot unroll" not in str(error):
            raise
        raise LotteryError(
            "Expected a fixed number of time steps for LiteRT, which takes recurrent layers unrolled: "
            f"keras.Input((steps, features)). Received: {model.name!r}, whose number of steps is open. "
            "(Files with select TF operations, which could loop, aren't written.)"
        ) from error


def _unrolled(layer: keras.Layer) -> keras.Layer:
    copy = copy_layer(layer)
    if isinstance(copy, keras.Layer):
        for inner in recurrent(copy):
            inner.unroll = True
    return copy


def states_of(model: keras.Layer) -> list[keras.Variable]:
    """Return what stateful layers keep from call to call. (Keras doesn't count it as variables of theirs.)"""
    stateful = [layer for layer in recurrent(model) if layer.stateful and layer.states is not None]
    return list({id(state): state for layer in stateful for state in tree.flatten(layer.states)}.values())


def fixed_batch(model: keras.Layer) -> int | None:
    """Return how many examples a stateful model takes at once, None for any number."""
    states = states_of(model)
    return int(states[0].shape[0]) if states else None


@contextlib.contextmanager
def from_initial_state(model: keras.Layer) -> Iterator[None]:
    """Let a stateful model begin anew; afterwards it is in the state that it was in."""
    states = states_of(model)
    before = [state.numpy() for state in states]
    for state in states:
        state.assign(keras.ops.zeros_like(state))
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
