"""The graph of a Sequential or Functional model: its nodes in the order of a call, and what they call."""

import itertools

import keras

from tf_lottery.layers.paths import HoldsMasks


def nodes_of(model: keras.Model) -> list | None:
    """Return the nodes of a Functional or Sequential model in the order of a call, without the inputs.

    None if it is another kind of model.
    """
    by_depth = getattr(getattr(model, "_functional", model), "_nodes_by_depth", None)
    if by_depth is None:
        return None
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


def unwrapped(operation: keras.Operation) -> keras.Operation:
    """Return the layer that a `PrunableLayer` wraps, or the operation itself if it wraps none."""
    inner = operation.stands_for() if isinstance(operation, HoldsMasks) else None
    return operation if inner is None else inner


def plain_class(operation: keras.Operation) -> type:
    """Return the class that a layer or a model has in the plain model, if it was made prunable in place."""
    return getattr(type(operation), "_plain_class", type(operation))


def has_own_call(operation: keras.Operation) -> bool:
    """Return whether a layer's or a model's class has a `call` that isn't one of Keras's own."""
    own = itertools.takewhile(
        lambda cls: not cls.__module__.startswith("keras."), plain_class(operation).__mro__
    )
    return any("call" in vars(cls) or "__call__" in vars(cls) for cls in own)
