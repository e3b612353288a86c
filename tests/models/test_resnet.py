import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.config import ModelConfig
from tf_lottery.layers.access import get_masks
from tf_lottery.models.build import build

# Frankle & Carbin 2018, Figure 2 and appendix I.
UNPRUNED = {"downsample*": 0, "output": 0}
LABELS = {2: 64.4, 4: 41.7, 6: 27.1, 7: 21.9, 10: 11.8, 14: 5.5}  # round -> weights remaining, %


@pytest.fixture(scope="module")
def resnet():
    return build(ModelConfig(name="resnet20"), (32, 32, 3), 10, seed=0)


def kernel_sizes(model):
    return {
        layer.name: int(np.prod(layer.kernel.shape))
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    }


def test_weights_are_as_many_as_the_paper_counts(resnet):
    sizes = kernel_sizes(resnet)
    stages = (5 * 9 * 16**2 + 9 * 16 * 16, 9 * 16 * 32 + 5 * 9 * 32**2, 9 * 32 * 64 + 5 * 9 * 64**2)
    downsampling = {name: size for name, size in sizes.items() if name.startswith("downsample")}
    assert downsampling == {"downsample2": 16 * 32, "downsample3": 32 * 64}
    assert sum(downsampling.values()) == 2_560
    assert sizes["output"] == 640
    convolutional = sum(sizes.values()) - 640
    assert convolutional == 9 * 3 * 16 + sum(stages) + 2_560 == 270_256  # "270K"
    # "274K": with biases, and four numbers a channel of batch normalization.
    channels = 7 * 16 + 6 * 32 + 6 * 64 + 32 + 64
    assert resnet.count_params() == convolutional + 640 + 10 + 4 * channels == 274_042


def test_twenty_layers_are_in_the_main_path(resnet):
    assert sum(not name.startswith("downsample") for name in kernel_sizes(resnet)) == 20


def test_stages_halve_the_image_and_double_the_channels(resnet):
    shapes = [resnet.get_layer(f"stage{stage}_block3_add").output.shape for stage in (1, 2, 3)]
    assert shapes == [(None, 32, 32, 16), (None, 16, 16, 32), (None, 8, 8, 64)]


def test_densities_under_global_pruning_are_the_papers_labels(resnet):
    model = lottery.make_prunable(resnet)
    percent = {}
    for number in range(1, 15):
        lottery.prune(model, rate=0.2, scope="global", layer_rates=UNPRUNED)
        percent[number] = 100 * (1 - lottery.sparsity(model))
    assert {number: round(percent[number], 1) for number in LABELS} == LABELS
    masks = get_masks(model)
    assert all(masks[f"{name}/kernel"].all() for name in ("downsample2", "downsample3", "output"))


def test_convolutions_have_no_bias_and_start_from_gaussian_glorot(resnet):
    convolutions = [layer for layer in resnet.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 21
    for layer in convolutions:
        assert layer.bias is None
        assert type(layer.kernel_initializer) is keras.initializers.GlorotNormal
    kernel = np.asarray(resnet.get_layer("stage3_block2_conv1").kernel)
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 64 + 9 * 64)), rel=0.02)
