"""LeNet-300-100 (LeCun et al. 1998), as in Frankle & Carbin 2018, Figure 2."""

import keras
from keras import layers


def lenet_300_100(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Return LeNet-300-100: 266,200 weights on MNIST.

    Kernels are initialized with Gaussian Glorot, biases with zeros, and the outputs are logits.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(300, "relu", kernel_initializer="glorot_normal", name="hidden1"),
            layers.Dense(100, "relu", kernel_initializer="glorot_normal", name="hidden2"),
            layers.Dense(classes, kernel_initializer="glorot_normal", name="output"),
        ],
        name="lenet_300_100",
    )
