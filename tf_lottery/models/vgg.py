"""VGG-11, VGG-16 and VGG-19 for CIFAR (Simonyan & Zisserman 2015), with batch normalization.

As in Frankle & Carbin 2018 and open_lth, they consist of 3x3 convolutions (with biases, each followed by
batch normalization and ReLU) in five groups of 64, 128, 256, 512 and 512 channels, 2x2 max-pooling
between the groups, global average pooling and one Dense layer, the output. Batch normalization starts at
scale one, and its running averages have momentum 0.9. Kernels are initialized with Gaussian Glorot, biases
with zeros; padding is Keras's `same`, and the outputs are logits. Images have at least 16 x 16 pixels.

Frankle & Carbin 2018 leave the 5,120 weights of the output unpruned: `layer_rates: {output: 0}`.
"""

import keras
from keras import layers

from tf_lottery.models.scaled import check_image, scaled

_CHANNELS = (64, 128, 256, 512, 512)


def vgg11(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return VGG-11: 9,222,848 weights on CIFAR-10, all but 5,120 in convolutions.

    Args:
        input_shape: Shape of an image: (height, width, channels).
        classes: Number of classes.
        width: Factor of the numbers of channels.
    """
    return _vgg("vgg11", (1, 1, 2, 2, 2), input_shape, classes, width)


def vgg16(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return VGG-16: 14,715,584 weights on CIFAR-10. Arguments as of `vgg11`."""
    return _vgg("vgg16", (2, 2, 3, 3, 3), input_shape, classes, width)


def vgg19(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return VGG-19: 20,024,000 weights on CIFAR-10. Arguments as of `vgg11`."""
    return _vgg("vgg19", (2, 2, 4, 4, 4), input_shape, classes, width)


def _vgg(
    name: str, groups: tuple[int, ...], input_shape: tuple[int, ...], classes: int, width: float
) -> keras.Model:
    """Build a network with so many convolutions in each group."""
    check_image(name, input_shape, least=16)
    model = keras.Sequential([keras.Input(input_shape)], name=name)
    index = 0
    for group, (convolutions, channels) in enumerate(zip(groups, _CHANNELS, strict=True), 1):
        if group > 1:
            model.add(layers.MaxPooling2D(name=f"pool{group - 1}"))
        for _ in range(convolutions):
            index += 1
            convolution = layers.Conv2D(
                scaled(channels, width),
                3,
                padding="same",
                kernel_initializer="glorot_normal",
                name=f"conv{index}",
            )
            model.add(convolution)
            model.add(layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{index}"))
            model.add(layers.ReLU(name=f"relu{index}"))
    model.add(layers.GlobalAveragePooling2D(name="pool"))
    model.add(layers.Dense(classes, kernel_initializer="glorot_normal", name="output"))
    return model
