"""Removing the units that pruning has killed, where that is proven to be exact.

A unit without incoming weights outputs a constant, which is folded into the biases of the layers that read
it. A unit whose outgoing weights are all zero isn't read. The smaller model computes neither. At inference it
gives the same outputs as the whole model, up to rounding, since its sums have fewer zeros.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.exports.compact.channels import ChannelReader, Channels
from tf_lottery.exports.compact.constants import DEPTHWISE
from tf_lottery.exports.compact.space import SHARED, ChannelPlace
from tf_lottery.layers.compiled import compile_like
from tf_lottery.layers.convert import check_plain
from tf_lottery.layers.copying import CannotCopy, carry_state, check_copy, copy_layer
from tf_lottery.layers.graph import nodes_of


@dataclass(frozen=True)
class Compacted:
    """A model without the units that pruning has killed.

    Attributes:
        model: The smaller model, plain, with the same class, inputs, outputs and names of layers.
        units: Layer name -> number of units or filters before and after, for the layers that lost some.
        left: Sentences that say which constant or unread units were kept, and why.
    """

    model: keras.Model
    units: dict[str, tuple[int, int]]
    left: list[str]


@dataclass(frozen=True)
class _Part:
    """A layer in the smaller model: the settings that change, and all its weights."""

    settings: Mapping[str, Any]
    weights: list[np.ndarray]


def compact(model: keras.Model) -> Compacted:
    """Return a smaller model that computes the same, without units that nothing reaches or nothing reads.

    Units of Dense layers and filters of convolutions are removed. Between them there may be elementwise
    activations, batch normalization, dropout, pooling, padding with zeros, Flatten, depthwise convolutions
    and sums. Units that another operation reads or creates are kept, and so are the model's inputs and
    outputs. Every layer keeps at least one unit.

    Args:
        model: A built plain Sequential or Functional model, such as `strip` returns. It isn't changed.

    Returns:
        The smaller model, compiled like the model, with a new optimizer. If nothing can be removed, it is a
        copy.

    Raises:
        LotteryError: If it is another kind of model, or one that Keras can't copy.

    Examples:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        >>> model.set_weights(
        ...     [np.array([[1, 0, 1], [1, 0, 1]]), np.ones(3), np.array([[1], [1], [0]]), np.ones(1)]
        ... )
        >>> list(lottery.compact(model).units.values())
        [(3, 1)]
    """
    check_plain(model)
    _check_graph(model)
    if infinite := [v.path for v in model.weights if not _is_finite(v)]:
        left = [f"{infinite[0]}: not finite, so a weight of 0.0 may matter; nothing was removed"]
        return Compacted(_rebuilt(model, {}), {}, left)
    channels = Channels(model)
    parts = {reader.layer.name: _smaller(reader) for reader in channels.readers}
    parts |= {layer.name: _follower(layer, place) for layer, place in channels.followers.items()}
    units = {}
    for reader in channels.readers:
        before, after = len(reader.target.constant), len(reader.target.kept)
        if after < before:
            units[reader.layer.name] = (before, after)
    left = _left(channels)
    if not units and not left:
        left = ["every unit has weights that matter; nothing was removed"]
    return Compacted(_rebuilt(model, parts), units, left)


def _smaller(reader: ChannelReader) -> _Part:
    layer, source, target = reader.layer, reader.source, reader.target
    folded = np.where(target.needed, reader.folded(~source.needed), 0.0)
    kernel = np.array(ops.convert_to_numpy(layer.kernel))
    # A unit that is kept only because a layer needs one gets no weights, since its constant is folded, too.
    kernel[..., ~source.needed, :] = 0
    kernel[..., ~target.needed] = 0
    weights = [kernel[..., source.kept, :][..., target.kept]]
    use_bias = layer.use_bias or bool(folded.any())
    if use_bias:
        bias = folded + (ops.convert_to_numpy(layer.bias) if layer.use_bias else 0.0)
        weights.append(np.where(target.needed, bias, 0.0)[target.kept])
    size = "units" if isinstance(layer, keras.layers.Dense) else "filters"
    return _Part({size: len(target.kept), "use_bias": use_bias}, weights)


def _follower(layer: keras.Layer, place: ChannelPlace) -> _Part:
    """Return the smaller form of a layer that has weights for each channel."""
    weights = [ops.convert_to_numpy(variable) for variable in layer.weights]
    if isinstance(layer, DEPTHWISE):
        return _Part({}, [weights[0][..., place.kept, :], *(bias[place.kept] for bias in weights[1:])])
    return _Part({}, [weight[place.kept] for weight in weights])


def _rebuilt(model: keras.Model, parts: Mapping[str, _Part]) -> keras.Model:
    settings = {id(layer): parts[layer.name].settings for layer in model.layers if layer.name in parts}
    compiled, model.compiled = model.compiled, False  # otherwise Keras compiles some copies and not others
    try:
        copy = keras.models.clone_model(
            model,
            # Keras would give the inputs of a Functional model new names.
            None if isinstance(model, keras.Sequential) else tree.map_structure(_input_like, model.input),
            clone_function=lambda layer: _cloned(layer, settings.get(id(layer))),
            recursive=True,
        )
        for source, target in zip(model.layers, copy.layers, strict=True):
            if source.name not in parts:
                carry_state(source, target)  # variables, and vocabularies, too
                continue
            for variable, value in zip(target.variables, parts[source.name].weights, strict=True):
                variable.assign(value)
            target.trainable = source.trainable
        check_copy(model, copy, close=True)
    except (CannotCopy, ValueError, TypeError, NotImplementedError, AttributeError) as error:
        raise LotteryError(
            f"Expected a model that Keras can copy. Received: {model.name!r} ({reason_of(error)})"
        ) from error
    finally:
        model.compiled = compiled
    return compile_like(model, copy)


def _input_like(tensor: keras.KerasTensor) -> keras.KerasTensor:
    layer = tensor._keras_history.operation
    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        sparse=tensor.sparse,
        optional=layer.optional,
        name=layer.name,
    )


def _cloned(layer: keras.Layer, settings: Mapping[str, Any] | None) -> keras.Layer:
    if settings is None:
        return copy_layer(layer)
    config = {**layer.get_config(), **settings}
    if "activation" not in config:
        return type(layer).from_config(config)
    copy = type(layer).from_config({**config, "activation": None})
    copy.activation = layer.activation  # it may be a function that Keras can't deserialize
    return copy


def _left(channels: Channels) -> list[str]:
    """Return sentences about the dead units that were kept."""
    left = []
    for reader in channels.readers:
        name, place = reader.layer.name, reader.target
        constant = ~np.isnan(place.constant)
        left += _kept(name, "constant", place, constant)
        left += _kept(name, "unread", place, ~constant & ~place.space.needed(but=SHARED))
        if not place.needed.any():
            left.append(f"{name}: 1 dead unit kept, since a layer needs one")
    units = {reader.target.space.root for reader in channels.readers}
    for name, places in channels.opaque.items():
        own = [place.space for place in places if place.space.root not in units]
        unread = sum(int((~space.needed(but=SHARED)).sum()) for space in own)
        if unread:
            what = _count(unread, "unread channel")
            left.append(f"{name}: {what} kept, since no Dense layer or convolution creates them")
    for layer, why in channels.excluded.items():
        if dead := _without_weights(layer):
            left.append(f"{layer.name}: {_count(dead, 'unit')} without weights kept, since it {why}")
    return left


def _kept(name: str, dead: str, place: ChannelPlace, units: np.ndarray) -> list[str]:
    causes = {cause: int((units & needed).sum()) for cause, needed in place.space.root.causes.items()}
    kept = int((units & place.needed).sum())
    if not kept:
        return []
    cause = max(causes, key=causes.__getitem__)
    mostly = "" if causes[cause] == kept else "mostly "
    return [f"{name}: {_count(kept, f'{dead} unit')} kept, {mostly}since {cause}"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}"


def _without_weights(layer: keras.Layer) -> int:
    """Return how many units of a layer have no incoming weights."""
    kernel = ops.convert_to_numpy(layer.kernel)
    by_unit = kernel.reshape(-1, kernel.shape[-1] * (kernel.shape[-2] if isinstance(layer, DEPTHWISE) else 1))
    return int((by_unit == 0).all(axis=0).sum())


def _check_graph(model: keras.Model) -> None:
    """Check that a model is Sequential or Functional, without a `call` of its own."""
    classes = itertools.takewhile(lambda cls: not cls.__module__.startswith("keras."), type(model).__mro__)
    if nodes_of(model) is None or any("call" in vars(cls) for cls in classes):
        raise LotteryError(
            f"Expected a Sequential or Functional model. Received: {type(model).__name__} {model.name!r}, "
            "in which Keras doesn't know the order of layers. Build it from layers and keras.Input."
        )


def _is_finite(variable: keras.Variable) -> bool:
    return bool(np.isfinite(ops.convert_to_numpy(variable)).all())
