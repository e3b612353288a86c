"""ResNet-20, the 20-layer CIFAR network (He et al. 2016, section 4.2).

Frankle & Carbin 2018 call it ResNet-18. It consists of a 3x3 convolution, three stages of three basic
blocks (16, 32, 64 channels; stages 2 and 3 begin with stride 2), global average pooling and
the output. As in open_lth, a shortcut that changes shape is a 1x1 convolution with its own batch
normalization, and convolutions have no bias. Batch normalization starts at scale one, and
its running averages have momentum 0.9. Kernels are initialized with Gaussian Glorot, as in the paper;
padding is Keras's `same`, and the outputs are logits.
"""

import keras
from keras import layers

_CHANNELS = (16, 32, 64)
_BLOCKS = 3


def resnet20(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Return ResNet-20: 270,896 weights on CIFAR-10, 270,256 of them in convolutions.

    The paper leaves the 2,560 weights of the shortcuts and the 640 of the output unpruned:
    `layer_rates: {"downsample*": 0, output: 0}`.
    """
    inputs = keras.Input(input_shape)
    x = layers.ReLU(name="relu")(_convolution(inputs, "conv", "norm", _CHANNELS[0]))
    for stage, channels in enumerate(_CHANNELS, 1):
        for block in range(1, _BLOCKS + 1):
            x = _block(x, stage, block, channels, stride=2 if stage > 1 and block == 1 else 1)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(classes, kernel_initializer="glorot_normal", name="output")(x)
    return keras.Model(inputs, outputs, name="resnet20")


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
