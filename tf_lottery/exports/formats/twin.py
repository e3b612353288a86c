"""A Keras 3 model's twin in tf_keras, the old Keras, which tensorflow-model-optimization needs.

tf_keras can't read configurations or files of Keras 3, so the twin is built layer by layer, for inference:
dropout is left out, batch normalization is folded into the layer before it, and so is an activation, since
tfmot doesn't quantize the weights of a layer that is followed by a ReLU layer.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from tf_lottery.errors import LotteryError
from tf_lottery.layers.graph import nodes_of
from tf_lottery.native import quiet_stderr
from tf_lottery.tfmot import load_tfmot

_CONV = ("kernel_size", "strides", "padding")
_POOL = ("pool_size", "strides", "padding")

LAYERS: dict[type, tuple[str, ...]] = {
    layers.Activation: (),
    layers.Add: (),
    layers.AveragePooling2D: _POOL,
    layers.BatchNormalization: (),
    layers.Concatenate: ("axis",),
    layers.Conv2D: ("filters", *_CONV),
    layers.Dense: ("units",),
    layers.DepthwiseConv2D: ("depth_multiplier", *_CONV),
    layers.Dropout: (),
    layers.Flatten: (),
    layers.GlobalAveragePooling2D: ("keepdims",),
    layers.GlobalMaxPooling2D: ("keepdims",),
    layers.MaxPooling2D: _POOL,
    layers.ReLU: (),
    layers.Reshape: ("target_shape",),
    layers.SeparableConv2D: ("filters", "depth_multiplier", *_CONV),
    layers.Softmax: (),
    layers.SpatialDropout2D: (),
    layers.ZeroPadding2D: ("padding",),
}
"""The layers that have a twin -> their arguments that are copied."""

ACTIVATIONS: dict[Callable, str] = {
    keras.activations.gelu: "gelu",
    keras.activations.linear: "linear",
    keras.activations.relu: "relu",
    keras.activations.relu6: "relu6",
    keras.activations.sigmoid: "sigmoid",
    keras.activations.softmax: "softmax",
    keras.activations.tanh: "tanh",
}
"""The activations that can be computed in integers -> their names in tf_keras."""

TOLERANCE = 1e-4
"""The largest difference of the twin's outputs, relative to the largest output."""

_KERNELS = (layers.Conv2D, layers.Dense, layers.DepthwiseConv2D, layers.SeparableConv2D)
_NOTHING = (layers.Dropout, layers.SpatialDropout2D)
_PLAIN = {"data_format": "channels_last", "dilation_rate": (1, 1), "groups": 1, "lora_enabled": False}
"""The values that these settings of a layer must have."""


def twin(model: keras.Model) -> Any:
    """Return a model in tf_keras that computes the same.

    Args:
        model: A built plain Sequential or Functional model with one input and one output, made of the layers
            in `LAYERS`. Sums may be written `x + y`.

    Returns:
        A tf_keras model with the same weights; those before a batch normalization are scaled by it. The zeros
        of a kernel keep their positions.

    Raises:
        LotteryError: If a layer, an activation or the way in which a layer is used has no twin.
    """
    load_tfmot()  # it must be the first to import tf_keras, to prevent side effects
    import tf_keras

    nodes = nodes_of(model)
    if nodes is None or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise _refused(model, "isn't Sequential or Functional with one input and one output")
    _check_layers(model, nodes)
    given = model.inputs[0]
    start = tf_keras.Input(given.shape[1:], name="inputs")
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    made: dict[int, Any] = {id(given): start}
    for node in nodes:
        result = _step(tf_keras, model, node, [made[id(tensor)] for tensor in node.input_tensors])
        output = node.outputs[0]
        made[id(output)] = result if readers[id(output)] == 1 else _tensor(result)
    copy = tf_keras.Model(start, _tensor(made[id(model.outputs[0])]), name=model.name)
    _check_same(model, copy)
    return copy


@dataclass
class _Part:
    """A layer with weights that isn't called yet: the next operations may be folded into it."""

    tf_keras: Any
    kind: str
    name: str
    read: Any
    settings: dict[str, Any]
    kernel: np.ndarray
    bias: np.ndarray
    activation: str = "linear"
    tensor: Any = field(default=None)

    def scale(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Make the layer compute `outputs * scale + shift`. Zeros stay 0.0, never -0.0."""
        channels = self.kernel.shape[-2:] if self.kind == "DepthwiseConv2D" else self.kernel.shape[-1:]
        self.kernel = np.where(self.kernel == 0, 0, self.kernel * scale.reshape(channels))
        self.bias = self.bias * scale + shift

    def call(self) -> Any:
        if self.tensor is None:
            made = self.tf_keras.layers
            late = self.activation == "relu6"  # tfmot knows relu6 only as a layer
            activation = "linear" if late else self.activation
            layer = getattr(made, self.kind)(name=self.name, activation=activation, **self.settings)
            self.tensor = layer(self.read)
            layer.set_weights([self.kernel, self.bias])
            if late:
                self.tensor = made.Activation("relu6", name=f"{self.name}_relu6")(self.tensor)
        return self.tensor


def _tensor(result: Any) -> Any:
    return result.call() if isinstance(result, _Part) else result


def _step(tf_keras: Any, model: keras.Model, node: Any, read: list[Any]) -> Any:
    """Return the output of a node: a tensor of tf_keras, or a part."""
    layer, first = node.operation, read[0]
    if isinstance(layer, _NOTHING):
        return first
    if isinstance(layer, _KERNELS):
        return _part(tf_keras, layer, _tensor(first))
    joins = isinstance(first, _Part) and first.activation == "linear"
    if isinstance(layer, layers.BatchNormalization):
        scale, shift = _normalization(layer)
        if joins:
            first.scale(scale, shift)
            return first
        if len(layer.input.shape) != 4:
            raise _refused(model, f"has {layer.name}, a batch normalization after no Dense layer")
        kernel = np.ones((1, 1, len(scale), 1), np.float32)
        part = _Part(
            tf_keras, "DepthwiseConv2D", layer.name, _tensor(first), {"kernel_size": 1}, kernel, 0 * shift
        )
        part.scale(scale, shift)
        return part
    activation = _activation(layer)
    if activation is not None:
        if joins:
            first.activation = activation
            return first
        return tf_keras.layers.Activation(activation, name=layer.name)(_tensor(first))
    if not isinstance(layer, keras.Layer):  # `x + y`
        return tf_keras.layers.Add(name=layer.name)([_tensor(each) for each in read])
    config = layer.get_config()
    settings = {name: config[name] for name in LAYERS[type(layer)]}
    tensors = [_tensor(each) for each in read]
    made = getattr(tf_keras.layers, type(layer).__name__)(name=layer.name, **settings)
    return made(tensors if isinstance(layer, (layers.Add, layers.Concatenate)) else tensors[0])


def _part(tf_keras: Any, layer: keras.Layer, read: Any) -> _Part:
    weights = [ops.convert_to_numpy(variable) for variable in layer.weights]
    config = layer.get_config()
    settings = {name: config[name] for name in LAYERS[type(layer)]}
    kind, name, activation = type(layer).__name__, layer.name, ACTIVATIONS[layer.activation]
    if kind == "SeparableConv2D":  # two layers in LiteRT
        settings.pop("filters")
        depthwise = weights.pop(0)
        none = np.zeros(depthwise.shape[2] * depthwise.shape[3], np.float32)
        first = _Part(tf_keras, "DepthwiseConv2D", f"{name}_depthwise", read, settings, depthwise, none)
        kind, read, settings = "Conv2D", first.call(), {"filters": layer.filters, "kernel_size": 1}
    kernel = weights[0]
    units = kernel.shape[2] * kernel.shape[3] if kind == "DepthwiseConv2D" else kernel.shape[-1]
    bias = weights[1] if layer.use_bias else np.zeros(units, np.float32)
    return _Part(tf_keras, kind, name, read, settings, kernel, bias, activation)


def _normalization(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift by channel."""
    mean, variance = (ops.convert_to_numpy(each) for each in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + np.float32(layer.epsilon))
    if layer.scale:
        scale = scale * ops.convert_to_numpy(layer.gamma)
    shift = -mean * scale
    return scale, shift + ops.convert_to_numpy(layer.beta) if layer.center else shift


def _activation(layer: Any) -> str | None:
    """Return the name of the activation that a layer without weights computes, or None if it has no twin."""
    if isinstance(layer, layers.Activation):
        return ACTIVATIONS.get(layer.activation)
    if isinstance(layer, layers.ReLU) and not (layer.negative_slope or layer.threshold):
        return {None: "relu", 6: "relu6"}.get(layer.max_value)
    return "softmax" if isinstance(layer, layers.Softmax) and layer.axis == -1 else None


def _check_layers(model: keras.Model, nodes: list[Any]) -> None:
    seen: set[int] = set()
    for node in nodes:
        layer, given = node.operation, node.arguments
        if id(layer) in seen:
            raise _refused(model, f"uses {layer.name} more than once")
        seen.add(id(layer))
        further = [value for value in given.kwargs.values() if value is not None and value is not False]
        if further or len(tree.flatten(given.args)) != len(node.input_tensors):
            raise _refused(model, f"calls {layer.name} with further arguments")
        if _is_sum(node):
            continue
        if type(layer) not in LAYERS:
            known = ", ".join(sorted(each.__name__ for each in LAYERS))
            raise _refused(model, f"has {layer.name} ({type(layer).__name__}); known are {known}")
        if layer.dtype_policy.name != "float32":
            raise _refused(model, f"has {layer.name} of {layer.dtype_policy.name}")
        rank = len(node.input_tensors[0].shape)
        for name, plain in _PLAIN.items():
            if (value := getattr(layer, name, plain)) != plain:
                raise _refused(model, f"has {layer.name} with {name} {value}; known is {plain}")
        if isinstance(layer, layers.BatchNormalization) and layer.axis not in (-1, rank - 1):
            raise _refused(model, f"has {layer.name} over axis {layer.axis}; known is the last")
        if isinstance(layer, layers.Dense) and rank != 2:
            raise _refused(model, f"has {layer.name}, a Dense layer of inputs that aren't flat")
        function = getattr(layer, "activation", keras.activations.linear)
        acts = isinstance(layer, (layers.ReLU, layers.Softmax))
        if function not in ACTIVATIONS or (acts and _activation(layer) is None):
            what = "a setting" if acts else f"activation {getattr(function, '__name__', function)}"
            known = ", ".join(ACTIVATIONS.values())
            raise _refused(model, f"has {layer.name} with {what} that has no twin; known are {known}")


def _is_sum(node: Any) -> bool:
    """Return whether a node is `x + y`."""
    bare = not isinstance(node.operation, keras.Layer)
    return bare and type(node.operation).__name__ == "Add" and len(node.input_tensors) == 2


def _check_same(model: keras.Model, copy: Any) -> None:
    shape = [4, *(16 if size is None else size for size in model.inputs[0].shape[1:])]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with quiet_stderr():
        expected, outputs = ops.convert_to_numpy(model(x, training=False)), copy(x, training=False).numpy()
    if not np.abs(expected - outputs).max() <= TOLERANCE * max(np.abs(expected).max(), 1e-6):
        raise _refused(model, "has other outputs once it is rebuilt in tf_keras")


def _refused(model: keras.Model, why: str) -> LotteryError:
    return LotteryError(
        "Quantization-aware training (tensorflow-model-optimization) can't take this model. "
        f"Use weights 'int8' instead. The cause: {model.name!r} {why}"
    )
