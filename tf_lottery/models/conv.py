"""Conv-2, Conv-4 and Conv-6: scaled-down VGG networks (Frankle & Carbin 2018, Figure 2).

They consist of pairs of 3x3 convolutions (64, 128, 256 channels) with 2x2 max-pooling after each pair,
two Dense layers of 256 units, and the output. Kernels are initialized with Gaussian Glorot, biases with
zeros, and the outputs are logits.

The paper trains them with dropout, too (Figure 6), and doesn't say where it is. Here it follows each pooling
and each of the two Dense layers.
"""

import keras
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.models.scaled import scaled


def conv2(
    input_shape: tuple[int, ...], classes: int, width: float = 1.0, dropout: float = 0.0
) -> keras.Model:
    """Return Conv-2: 4.3M weights on CIFAR-10, 38K of them in convolutions.

    Args:
        input_shape: Shape of an image: (height, width, channels).
        classes: Number of classes.
        width: Factor of the numbers of channels and hidden units.
        dropout: Fraction of the units that dropout leaves out, at least 0 and below 1. Default: no dropout.
    """
    return _conv("conv2", (64,), input_shape, classes, width, dropout)


def conv4(
    input_shape: tuple[int, ...], classes: int, width: float = 1.0, dropout: float = 0.0
) -> keras.Model:
    """Return Conv-4: 2.4M weights on CIFAR-10, 260K of them in convolutions. Arguments as of `conv2`."""
    return _conv("conv4", (64, 128), input_shape, classes, width, dropout)


def conv6(
    input_shape: tuple[int, ...], classes: int, width: float = 1.0, dropout: float = 0.0
) -> keras.Model:
    """Return Conv-6: 2.26M weights on CIFAR-10, 1.1M of them in convolutions. Arguments as of `conv2`.

    The paper prints 1.7M, which its own layer sizes don't give.
    """
    return _conv("conv6", (64, 128, 256), input_shape, classes, width, dropout)


def _conv(
    name: str,
    pairs: tuple[int, ...],
    input_shape: tuple[int, ...],
    classes: int,
    width: float,
    dropout: float,
) -> keras.Model:
    def drop(after: str) -> None:
        if dropout:
            model.add(layers.Dropout(dropout, name=f"dropout_{after}"))

    if dropout == 1:  # Keras takes it, and no unit is left
        raise LotteryError(f"Expected dropout below 1. Received: {dropout}")
    model = keras.Sequential([keras.Input(input_shape)], name=name)
    for pair, channels in enumerate(pairs):
        for index in (1, 2):
            convolution = layers.Conv2D(
                scaled(channels, width),
                3,
                padding="same",
                activation="relu",
                kernel_initializer="glorot_normal",
                name=f"conv{2 * pair + index}",
            )
            model.add(convolution)
        model.add(layers.MaxPooling2D(name=f"pool{pair + 1}"))
        drop(f"pool{pair + 1}")
    model.add(layers.Flatten(name="flatten"))
    for index in (1, 2):
        units = scaled(256, width)
        model.add(layers.Dense(units, "relu", kernel_initializer="glorot_normal", name=f"hidden{index}"))
        drop(f"hidden{index}")
    model.add(layers.Dense(classes, kernel_initializer="glorot_normal", name="output"))
    return model
