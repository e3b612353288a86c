"""Chains of Dense layers of any sizes."""

from collections.abc import Sequence

import keras
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.models.scaled import scaled


def mlp(
    input_shape: tuple[int, ...],
    classes: int,
    sizes: Sequence[int] = (300, 100),
    activation: str = "relu",
    width: float = 1.0,
) -> keras.Model:
    """Return a multilayer perceptron. The default sizes are those of LeNet-300-100.

    Kernels are initialized with Gaussian Glorot, biases with zeros, and the outputs are logits.

    Args:
        input_shape: Shape of an example, which is flattened.
        classes: Number of classes.
        sizes: Numbers of units of the hidden layers, which are called `hidden1`, `hidden2`, ...
        activation: Name of the Keras activation of the hidden layers.
        width: Factor of the numbers of hidden units.

    Raises:
        LotteryError: If the sizes aren't whole numbers from 1.
    """
    is_list = isinstance(sizes, list | tuple)
    if not is_list or not all(type(size) is int and size >= 1 for size in sizes):
        raise LotteryError(
            "Expected sizes, the numbers of units of the hidden layers, as whole numbers from 1, such as "
            f"[300, 100]. Received: {sizes!r:.80}"
        )
    model = keras.Sequential([keras.Input(input_shape), layers.Flatten(name="flatten")], name="mlp")
    for index, size in enumerate(sizes, 1):
        units = scaled(size, width)
        model.add(layers.Dense(units, activation, kernel_initializer="glorot_normal", name=f"hidden{index}"))
    model.add(layers.Dense(classes, kernel_initializer="glorot_normal", name="output"))
    return model
