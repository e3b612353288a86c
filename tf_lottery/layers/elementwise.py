"""Which activations compute each number of their result from one number of their input."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers

# Elementwise and continuous functions, so that a constant can be folded up to rounding.
_ACTIVATIONS = {
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh"),
    *("sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "softplus", "softsign"),
    *("squareplus", "soft_shrink", "sparse_plus", "sparse_sigmoid", "tanh_shrink", "exponential"),
}
_MODULES = (keras.activations, keras.ops, tf.nn)
_FUNCTIONS = {getattr(module, name, None) for module in _MODULES for name in _ACTIVATIONS} - {None}
_OPERATIONS = {name.replace("_", "") for name in _ACTIVATIONS}


def is_elementwise(function: Any) -> bool:
    """Return whether a function, an activation layer or an operation is known to be elementwise and
    continuous."""
    kind = type(function)
    if kind is layers.ReLU:
        return not function.threshold  # a threshold makes it discontinuous
    if kind is layers.Activation:
        return is_elementwise(function.activation)
    if kind in (layers.LeakyReLU, layers.ELU) or any(function is known for known in _FUNCTIONS):
        return True
    return kind.__module__.startswith("keras.src.ops") and kind.__name__.lower() in _OPERATIONS
