"""Which constants an operation passes on: the values of channels that are the same for every input."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from tf_lottery.exports.compact.space import ChannelPlace
from tf_lottery.layers.elementwise import is_elementwise

DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)

_UNCHANGED = {
    *(layers.Dropout, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout),
    *(layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.Identity, layers.ActivityRegularization),
    *(getattr(layers, f"{kind}Pooling{n}D") for kind in ("Max", "GlobalMax") for n in (1, 2, 3)),
    *(getattr(layers, f"{kind}Pooling{n}D") for kind in ("Average", "GlobalAverage") for n in (1, 2, 3)),
}


def constants_after(operation, tensors: list, sources: Sequence[ChannelPlace]) -> np.ndarray | None:
    """Return the constants after an operation that keeps channels separate, or None if it may not do so.

    Args:
        operation: A Keras layer or operation.
        tensors: Its input tensors.
        sources: Their channels.
    """
    kind, constant = type(operation), sources[0].constant
    if kind is layers.Add or (kind.__name__ == "Add" and kind.__module__.startswith("keras.")):
        shapes = {(len(t.shape), s.space.size, s.repeat) for t, s in zip(tensors, sources, strict=True)}
        return np.sum([source.constant for source in sources], axis=0) if len(shapes) == 1 else None
    if kind in _UNCHANGED:
        return constant if getattr(operation, "noise_shape", None) is None else None
    if is_elementwise(operation):
        return applied_to(operation.call, constant)
    if kind in (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D):
        return np.where(constant == 0, constant, np.nan)
    shape = tensors[0].shape
    if kind is layers.Flatten and None not in shape[1:]:
        return np.tile(constant, math.prod(shape[1:-1]))
    if kind is layers.BatchNormalization and operation.axis in (-1, len(shape) - 1):
        return _normalized(operation, constant)
    if kind in DEPTHWISE and is_elementwise(operation.activation):
        kernel = ops.convert_to_numpy(operation.kernel)[..., 0].reshape(-1, len(constant))
        filtered = padded_constants(operation, constant) * kernel.sum(axis=0, dtype=np.float64)
        filtered = np.where((kernel == 0).all(axis=0), 0.0, filtered)
        bias = ops.convert_to_numpy(operation.bias) if operation.use_bias else 0.0
        return applied_to(operation.activation, filtered + bias)
    return None


def padded_constants(layer: keras.Layer, constant: np.ndarray) -> np.ndarray:
    """Return the constants that a layer reads: if it pads with zeros, only 0.0 stays constant."""
    padded = getattr(layer, "padding", "valid") != "valid" and max(layer.kernel_size) > 1
    return np.where(constant == 0, constant, np.nan) if padded else constant


def _normalized(layer: layers.BatchNormalization, constant: np.ndarray) -> np.ndarray:
    variance = ops.convert_to_numpy(layer.moving_variance).astype(np.float64)
    gamma = ops.convert_to_numpy(layer.gamma) if layer.scale else 1.0
    beta = ops.convert_to_numpy(layer.beta) if layer.center else 0.0
    factor = gamma / np.sqrt(variance + layer.epsilon)
    return np.where(factor == 0, beta, (constant - ops.convert_to_numpy(layer.moving_mean)) * factor + beta)


def applied_to(function, constant: np.ndarray) -> np.ndarray:
    """Return a function's values at constants. A value that isn't finite counts as varying (NaN)."""
    values = ops.convert_to_numpy(function(ops.convert_to_tensor(np.nan_to_num(constant), "float32")))
    return np.where(np.isfinite(constant) & np.isfinite(values), values, np.nan).astype(np.float64)
