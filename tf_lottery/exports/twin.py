"""A Keras 3 model's twin in tf_keras, the old Keras, which tensorflow-model-optimization works on.

tf_keras reads no configuration and no file of Keras 3, so the twin is built layer by layer.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tf_lottery.errors import LotteryError
from tf_lottery.exports.channels import nodes_of
from tf_lottery.native import quiet_stderr
from tf_lottery.tfmot import load_tfmot

_CONV = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "use_bias")
_POOL = ("pool_size", "strides", "padding", "data_format")

LAYERS: dict[type, tuple[str, ...]] = {
    layers.Activation: (),
    layers.Add: (),
    layers.AveragePooling2D: _POOL,
    layers.BatchNormalization: ("axis", "momentum", "epsilon", "center", "scale"),
    layers.Concatenate: ("axis",),
    layers.Conv1D: ("filters", *_CONV),
    layers.Conv2D: ("filters", *_CONV),
    layers.Dense: ("units", "use_bias"),
    layers.DepthwiseConv2D: ("depth_multiplier", *_CONV),
    layers.Dropout: ("rate",),
    layers.Flatten: ("data_format",),
    layers.GlobalAveragePooling2D: ("data_format", "keepdims"),
    layers.MaxPooling2D: _POOL,
    layers.ReLU: ("max_value",),
    layers.Reshape: ("target_shape",),
    layers.Softmax: ("axis",),
    layers.ZeroPadding2D: ("padding", "data_format"),
}
"""Which layers have a twin, and which of their arguments are copied; an activation always is."""

ACTIVATIONS: dict[Callable, str] = {
    keras.activations.linear: "linear",
    keras.activations.relu: "relu",
    keras.activations.sigmoid: "sigmoid",
    keras.activations.softmax: "softmax",
    keras.activations.tanh: "tanh",
}
"""Those that quantization-aware training knows."""

TOLERANCE = 1e-4
"""Of the twin's outputs, relative to the largest."""


def twin(model: keras.Model) -> Any:
    """Return the same model in tf_keras, with the same weights.

    Args:
        model: a built plain Sequential or Functional model with one input and one output, of the layers in
            `LAYERS`.

    Returns:
        A tf_keras model that answers the same.

    Raises:
        LotteryError: a layer, an activation or a way of use that has no twin, by name.
    """
    load_tfmot()  # the first to import tf_keras, without its side effects
    import tf_keras

    nodes = nodes_of(model)
    if nodes is None or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise _refused(model, "isn't Sequential or Functional with one input and one output")
    given = model.inputs[0]
    start = tf_keras.Input(given.shape[1:], dtype=keras.backend.standardize_dtype(given.dtype), name="inputs")
    tensors = {id(given): start}
    made: dict[str, tuple[keras.Layer, Any]] = {}
    for node in nodes:
        layer = node.operation
        if layer.name in made:
            raise _refused(model, f"uses {layer.name} more than once")
        read = [tensors[id(tensor)] for tensor in node.input_tensors]
        made[layer.name] = layer, _layer(tf_keras, model, node)
        tensors[id(node.outputs[0])] = made[layer.name][1](read if len(read) > 1 else read[0])
    copy = tf_keras.Model(start, tensors[id(model.outputs[0])], name=model.name)
    for layer, target in made.values():
        if getattr(layer, "weights", None):
            target.set_weights([ops.convert_to_numpy(variable) for variable in layer.weights])
    _check_same(model, copy)
    return copy


def _layer(tf_keras: Any, model: keras.Model, node: Any) -> Any:
    layer = node.operation
    if type(layer).__name__ == "Add" and len(node.input_tensors) == 2:  # the layer, or `x + y`
        return tf_keras.layers.Add(name=layer.name)
    if type(layer) not in LAYERS or len(node.outputs) != 1:
        known = ", ".join(sorted(each.__name__ for each in LAYERS))
        raise _refused(model, f"has {layer.name} ({type(layer).__name__}); known are {known}")
    if layer.dtype_policy.name != "float32":
        raise _refused(model, f"has {layer.name} of {layer.dtype_policy.name}")
    if getattr(layer, "groups", 1) != 1:
        raise _refused(model, f"has {layer.name}, a convolution in groups")
    settings: Mapping[str, Any] = layer.get_config()
    chosen = {name: settings[name] for name in LAYERS[type(layer)] if name in settings}
    if isinstance(layer, layers.ReLU) and (layer.negative_slope or layer.threshold):
        raise _refused(model, f"has {layer.name}, a ReLU with a slope or a threshold")
    if hasattr(layer, "activation"):
        if layer.activation not in ACTIVATIONS:
            name = getattr(layer.activation, "__name__", layer.activation)
            raise _refused(
                model, f"has activation {name} in {layer.name}; known are {', '.join(ACTIVATIONS.values())}"
            )
        chosen["activation"] = ACTIVATIONS[layer.activation]
    return getattr(tf_keras.layers, type(layer).__name__)(name=layer.name, **chosen)


def _check_same(model: keras.Model, copy: Any) -> None:
    shape = [4, *(16 if size is None else size for size in model.inputs[0].shape[1:])]
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    with quiet_stderr():
        here, there = ops.convert_to_numpy(model(x, training=False)), copy(x, training=False).numpy()
    if not np.abs(here - there).max() <= TOLERANCE * max(np.abs(here).max(), 1e-6):
        raise _refused(model, "answers otherwise there")


def _refused(model: keras.Model, why: str) -> LotteryError:
    return LotteryError(
        "Expected a model that quantization-aware training takes (tensorflow-model-optimization). "
        f"Received: {model.name!r}, which {why}"
    )
