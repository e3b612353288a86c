"""Numbers of weights and parameters, against layer arithmetic written out by hand."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from tf_lottery.config import ModelConfig
from tf_lottery.models.build import build

MNIST, CIFAR = (28, 28, 1), (32, 32, 3)


def convolutions(size, *channels):
    """The weights of convolutions of size x size, each channel count leading to the next."""
    return sum(size * size * inputs * outputs for inputs, outputs in pairwise(channels))


LENET5 = {"conv1": 5 * 5 * 20, "conv2": 5 * 5 * 20 * 50, "hidden": 4 * 4 * 50 * 500, "output": 500 * 10}


def resnet(blocks):
    """Weights by kind, and channels that are normalized, of the network of 6 * blocks + 2 layers."""
    main = (
        convolutions(3, 3, 16, *[16] * 2 * blocks)
        + convolutions(3, 16, *[32] * 2 * blocks)
        + convolutions(3, 32, *[64] * 2 * blocks)
    )
    normalized = 16 + 2 * blocks * (16 + 32 + 64) + (32 + 64)
    return main, 16 * 32 + 32 * 64, 64 * 10, normalized


VGG = {
    "vgg11": (64, 128, 256, 256, 512, 512, 512, 512),
    "vgg16": (64, 64, 128, 128, *[256] * 3, *[512] * 6),
    "vgg19": (64, 64, 128, 128, *[256] * 4, *[512] * 8),
}

WRN_STAGES = {  # a stage's first block, its shortcut, and two blocks more
    16: (convolutions(3, 16, 32, 32), 16 * 32, convolutions(3, *[32] * 5)),
    32: (convolutions(3, 32, 64, 64), 32 * 64, convolutions(3, *[64] * 5)),
    64: (convolutions(3, 64, 128, 128), 64 * 128, convolutions(3, *[128] * 5)),
}


def network(name, shape=CIFAR, **kwargs):
    return build(ModelConfig(name=name, kwargs=kwargs), shape, 10, seed=0)


def kernel_sizes(model):
    return {
        layer.name: int(np.prod(layer.kernel.shape))
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    }


def depth(model):
    return sum(not name.startswith("downsample") for name in kernel_sizes(model))


def test_lenet5_has_the_430500_weights_of_caffes():
    model = network("lenet5", MNIST)
    assert kernel_sizes(model) == LENET5
    assert sum(LENET5.values()) == 430_500
    assert model.count_params() == 430_500 + 20 + 50 + 500 + 10 == 431_080


def test_an_mlp_has_the_sizes_that_are_asked_for():
    lenet = network("mlp", MNIST, sizes=[300, 100])
    assert list(kernel_sizes(lenet).values()) == [784 * 300, 300 * 100, 100 * 10]
    assert lenet.count_params() == network("lenet_300_100", MNIST).count_params() == 266_200 + 410
    small = network("mlp", (8, 8, 1), sizes=[5], activation="tanh")
    assert kernel_sizes(small) == {"hidden1": 64 * 5, "output": 5 * 10}
    assert small.get_layer("hidden1").activation is keras.activations.tanh
    assert list(kernel_sizes(network("mlp", (8, 8, 1), sizes=[]))) == ["output"]


@pytest.mark.parametrize(
    ("name", "blocks", "weights", "millions"),
    [
        ("resnet20", 3, 270_896, 0.27),
        ("resnet32", 5, 464_432, 0.46),
        ("resnet56", 9, 851_504, 0.85),
    ],
)
def test_resnets_have_the_sizes_of_he_2016(name, blocks, weights, millions):
    model = network(name)
    main, shortcuts, output, normalized = resnet(blocks)
    assert sum(kernel_sizes(model).values()) == main + shortcuts + output == weights
    assert model.count_params() == weights + 10 + 4 * normalized
    # The paper's own have no weights in shortcuts; it counts scale and shift of normalization.
    assert round((main + output + 10 + 2 * (normalized - 96)) / 1e6, 2) == millions
    assert depth(model) == 6 * blocks + 2 == int(name.removeprefix("resnet"))


@pytest.mark.parametrize(
    ("name", "weights", "millions"),
    [("vgg11", 9_222_848, 9.2), ("vgg16", 14_715_584, 14.7), ("vgg19", 20_024_000, 20.0)],
)
def test_vggs_have_the_sizes_of_frankle_and_carbin(name, weights, millions):
    model = network(name)
    sizes = kernel_sizes(model)
    assert sizes["output"] == 512 * 10 == 5_120  # "leave the 5,120 weights of the output unpruned"
    assert sum(sizes.values()) == convolutions(3, 3, *VGG[name]) + 5_120 == weights
    assert round(weights / 1e6, 1) == millions
    # A bias and four numbers of batch normalization for each channel.
    assert model.count_params() == weights + 10 + 5 * sum(VGG[name])
    assert len(sizes) == int(name.removeprefix("vgg")) - 2  # the numbers count three Dense layers
    assert [layer.output.shape[1] for layer in model.layers if "pool" in layer.name][:-1] == [16, 8, 4, 2]


def test_wide_resnet_22_2_has_1_08_million_weights():
    model = network("wrn22_2")
    shortcuts = {name: size for name, size in kernel_sizes(model).items() if name.startswith("shortcut")}
    assert list(shortcuts.values()) == [512, 2_048, 8_192]
    weights = convolutions(3, 3, 16) + sum(map(sum, WRN_STAGES.values())) + 128 * 10
    assert sum(kernel_sizes(model).values()) == weights == 1_076_912  # "1.08M"
    normalized = [16, *[32] * 5, 32, *[64] * 5, 64, *[128] * 5, 128]
    assert model.count_params() == weights + 10 + 4 * sum(normalized)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 22  # the 22 of its name
