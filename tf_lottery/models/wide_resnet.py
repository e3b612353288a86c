"""Wide ResNet 22-2 for CIFAR (Zagoruyko & Komodakis 2016), as in Evci et al. 2020 (RigL).

It consists of a 3x3 convolution of 16 channels, three stages of three basic blocks (32, 64, 128 channels;
stages 2 and 3 begin with stride 2), batch normalization, ReLU, global average pooling and the output. Within
a block normalization and ReLU come before each convolution. The shortcut of a stage's first block is
a 1x1 convolution of what its first ReLU gives; the others add their input. Convolutions have no bias, and
there is no dropout. Batch normalization starts at scale one, and its running averages have momentum 0.9.
Kernels are initialized with Gaussian He by the number of inputs, as in Zagoruyko's code; padding is
Keras's `same`, and the outputs are logits.
"""

import keras
from keras import layers

from tf_lottery.models.scaled import scaled

_FIRST = 16
_BLOCKS = 3  # (22 - 4) / 6
_CHANNELS = (32, 64, 128)


def wrn22_2(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> keras.Model:
    """Return Wide ResNet 22-2: 1,076,912 weights on CIFAR-10, 10,752 of them in shortcuts.

    Args:
        input_shape: Shape of an image: (height, width, channels).
        classes: Number of classes.
        width: Factor of the numbers of channels. The 2 of the name is width 1.0.
    """
    inputs = keras.Input(input_shape)
    x = _convolution(inputs, "conv", scaled(_FIRST, width))
    for stage, channels in enumerate(_CHANNELS, 1):
        for block in range(1, _BLOCKS + 1):
            x = _block(x, stage, block, scaled(channels, width))
    x = _activated(x, "norm", "relu")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(classes, kernel_initializer="he_normal", name="output")(x)
    return keras.Model(inputs, outputs, name="wrn22_2")


def _block(x, stage: int, block: int, channels: int):
    name = f"stage{stage}_block{block}"
    stride = 2 if stage > 1 and block == 1 else 1
    inner = _activated(x, f"{name}_norm1", f"{name}_relu1")
    if block == 1:
        x = _convolution(inner, f"shortcut{stage}", channels, size=1, stride=stride)
    inner = _convolution(inner, f"{name}_conv1", channels, stride=stride)
    inner = _activated(inner, f"{name}_norm2", f"{name}_relu2")
    inner = _convolution(inner, f"{name}_conv2", channels)
    return layers.Add(name=f"{name}_add")([inner, x])


def _activated(x, norm: str, relu: str):
    return layers.ReLU(name=relu)(layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm)(x))


def _convolution(x, name: str, channels: int, size: int = 3, stride: int = 1):
    convolution = layers.Conv2D(
        channels,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )
    return convolution(x)
