"""ResNet-20, ResNet-32 and ResNet-56, the CIFAR networks of 6n + 2 layers (He et al. 2016, section 4.2).

Frankle & Carbin 2018 call ResNet-20 ResNet-18. They consist of a 3x3 convolution, three stages of n basic
blocks (16, 32, 64 channels; stages 2 and 3 begin with stride 2), global average pooling and
the output. As in open_lth, a shortcut that changes shape is a 1x1 convolution with its own batch
normalization, and convolutions have no bias. Batch normalization starts at scale one, and
its running averages have momentum 0.9. Kernels are initialized with Gaussian Glorot, as in Frankle &
Carbin 2018; padding is Keras's `same`, and the outputs are logits.

Frankle & Carbin leave the 2,560 weights of the shortcuts and the 640 of the output unpruned:
`layer_rates: {"downsample*": 0, output: 0}`.
"""

import keras
from keras import layers

from tf_lottery.models.scaled import scaled

_CHANNELS = (16, 32, 64)


def resnet20(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return ResNet-20: 270,896 weights on CIFAR-10, 270,256 of them in convolutions.

    Args:
        input_shape: Shape of an image: (height, width, channels).
        classes: Number of classes.
        width: Factor of the numbers of channels.
    """
    return _resnet("resnet20", 3, input_shape, classes, width)


def resnet32(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return ResNet-32: 464,432 weights on CIFAR-10. Arguments as of `resnet20`."""
    return _resnet("resnet32", 5, input_shape, classes, width)


def resnet56(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return ResNet-56: 851,504 weights on CIFAR-10. Arguments as of `resnet20`."""
    return _resnet("resnet56", 9, input_shape, classes, width)


def _resnet(name: str, blocks: int, input_shape: tuple[int, ...], classes: int, width: float) -> keras.Model:
    """Build a network with so many blocks in each stage."""
    inputs = keras.Input(input_shape)
    x = layers.ReLU(name="relu")(_convolution(inputs, "conv", "norm", scaled(_CHANNELS[0], width)))
    for stage, channels in enumerate(_CHANNELS, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, stage, block, scaled(channels, width), stride)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(classes, kernel_initializer="glorot_normal", name="output")(x)
    return keras.Model(inputs, outputs, name=name)


def _block(x, stage: int, block: int, channels: int, stride: int):
    name = f"stage{stage}_block{block}"
    inner = _convolution(x, f"{name}_conv1", f"{name}_norm1", channels, stride=stride)
    inner = layers.ReLU(name=f"{name}_relu1")(inner)
    inner = _convolution(inner, f"{name}_conv2", f"{name}_norm2", channels)
    if stride > 1:
        x = _convolution(x, f"downsample{stage}", f"downsample{stage}_norm", channels, size=1, stride=stride)
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([inner, x]))


def _convolution(x, name: str, norm: str, channels: int, size: int = 3, stride: int = 1):
    convolution = layers.Conv2D(
        channels,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="glorot_normal",
        name=name,
    )
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm)(convolution(x))
