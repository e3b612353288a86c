"""`LAYERS`: the kinds of layers that the sparse engine knows. Each is one function and one line."""

from collections.abc import Callable

import keras
from keras import layers

from tf_lottery.training.sparse.ops import activation as activations
from tf_lottery.training.sparse.ops import merging, normalization, padding, pooling
from tf_lottery.training.sparse.ops.convolution import Conv2D
from tf_lottery.training.sparse.ops.dense import Dense
from tf_lottery.training.sparse.ops.dropout import dropout
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported, refuse
from tf_lottery.training.sparse.ops.simple import Flatten
from tf_lottery.training.sparse.tensor import Tensor

Make = Callable[[keras.Layer, list[Tensor], Context], list[Op]]


def dense(layer: keras.layers.Dense, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return a Dense layer's ops."""
    _refuse(layer)
    if layer.kernel.shape[0] != inputs[0].channels * inputs[0].rows * inputs[0].columns:
        raise Unsupported("inputs that aren't vectors")
    return with_activation(layer, context, lambda relu: Dense(layer, inputs, context, relu))


def conv2d(layer: keras.layers.Conv2D, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return a Conv2D layer's ops."""
    _refuse(layer)
    if layer.groups != 1:
        raise Unsupported("groups")
    if layer.data_format != "channels_last":
        raise Unsupported("data_format")
    return with_activation(layer, context, lambda relu: Conv2D(layer, inputs, context, relu))


def flatten(layer: keras.layers.Flatten, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of a Flatten layer, which moves nothing."""
    if layer.data_format != "channels_last":
        raise Unsupported("data_format")
    return [Flatten(inputs)]


def activation(layer: keras.layers.Activation, inputs: list[Tensor], context: Context) -> list[Op]:
    """Return the ops of an Activation layer."""
    return activations.activation(layer.activation, inputs, context)


def _refuse(layer: keras.layers.Dense | keras.layers.Conv2D) -> None:
    refuse(layer, "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")
    refuse(layer, "lora_rank", "quantization_mode")


LAYERS: dict[type[keras.Layer], Make] = {
    layers.Activation: activation,
    layers.Add: merging.add,
    layers.AveragePooling2D: pooling.average,
    layers.BatchNormalization: normalization.batch_normalization,
    layers.Concatenate: merging.concatenate,
    layers.Conv2D: conv2d,
    layers.Dense: dense,
    layers.Dropout: dropout,
    layers.ELU: activations.elu,
    layers.Flatten: flatten,
    layers.GlobalAveragePooling2D: pooling.global_average,
    layers.GlobalMaxPooling2D: pooling.global_maximum,
    layers.LeakyReLU: activations.leaky_relu,
    layers.MaxPooling2D: pooling.maximum,
    layers.ReLU: activations.relu,
    layers.ZeroPadding2D: padding.zeros,
}


def with_activation(layer: keras.Layer, context: Context, make: Callable[[bool], Op]) -> list[Op]:
    """Return a layer's ops: ReLU is part of its own, another activation is an op of its own."""
    if layer.activation in (keras.activations.relu, keras.activations.linear):
        return [make(layer.activation is keras.activations.relu)]
    op = make(False)
    return [op, *activations.activation(layer.activation, [op.output], context)]
