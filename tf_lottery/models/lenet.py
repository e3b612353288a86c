"""LeNet-300-100 and LeNet-5 (LeCun et al. 1998), as the pruning literature has them.

Kernels are initialized with Gaussian Glorot, biases with zeros, and the outputs are logits. Neither network
has normalization.
"""

import keras
from keras import layers

from tf_lottery.models.scaled import check_image, scaled


def lenet_300_100(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return LeNet-300-100: 266,200 weights on MNIST (Frankle & Carbin 2018, Figure 2).

    Args:
        input_shape: Shape of an example, which is flattened.
        classes: Number of classes.
        width: Factor of the numbers of hidden units.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(scaled(300, width), "relu", kernel_initializer="glorot_normal", name="hidden1"),
            layers.Dense(scaled(100, width), "relu", kernel_initializer="glorot_normal", name="hidden2"),
            layers.Dense(classes, kernel_initializer="glorot_normal", name="output"),
        ],
        name="lenet_300_100",
    )


def lenet5(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return LeNet-5: 430,500 weights on MNIST, 25,500 of them in convolutions.

    This is the network of Caffe's example, which papers on pruning call LeNet-5 (Han et al. 2015; Lee
    et al. 2019): two 5x5 convolutions without padding, each with max-pooling, and 500 hidden units. As in
    the code of Lee et al. 2019, ReLU also follows the convolutions.

    Args:
        input_shape: Shape of an image: (height, width, channels), at least 16 x 16.
        classes: Number of classes.
        width: Factor of the numbers of channels and hidden units.
    """
    check_image("lenet5", input_shape, least=16)
    model = keras.Sequential([keras.Input(input_shape)], name="lenet5")
    for index, channels in enumerate((20, 50), 1):
        convolution = layers.Conv2D(
            scaled(channels, width),
            5,
            activation="relu",
            kernel_initializer="glorot_normal",
            name=f"conv{index}",
        )
        model.add(convolution)
        model.add(layers.MaxPooling2D(name=f"pool{index}"))
    model.add(layers.Flatten(name="flatten"))
    model.add(layers.Dense(scaled(500, width), "relu", kernel_initializer="glorot_normal", name="hidden"))
    model.add(layers.Dense(classes, kernel_initializer="glorot_normal", name="output"))
    return model
