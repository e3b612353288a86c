"""Weights of the first layer at each pixel, from masks alone."""

import numpy as np
import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery.analysis.pixels import DENSE_ON_PIXELS, per_pixel
from tf_lottery.config import ModelConfig
from tf_lottery.layers.first import first_kernel
from tf_lottery.models.build import MODELS, build


def counted(mask, input_shape, path="hidden1/kernel", **model):
    spec = fake_spec().model_copy(update={"model": ModelConfig(**model)})
    record = fake_record(spec).model_copy(update={"resolved": {"input_shape": input_shape}})
    return per_pixel({path: mask}, record)


def test_counts_are_of_pixels_row_by_row():
    mask = np.zeros((2 * 3 * 2, 4), bool)  # two rows, three columns, two channels, four units
    mask[0, :3] = True  # row 0, column 0, channel 0
    mask[1, 0] = True  # the same pixel, channel 1
    mask[2 * (1 * 3 + 2), 1] = True  # row 1, column 2
    assert counted(mask, [2, 3, 2]).tolist() == [[4, 0, 0], [0, 0, 1]]
    assert counted(mask[::2], (2, 3)).tolist() == [[3, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("inputs", [[28, 28, 1], [10], [10, 1], None])
def test_what_is_no_image_of_as_many_pixels_is_left_out(inputs):
    assert counted(np.ones((10, 4), bool), inputs) is None


@pytest.mark.parametrize("model", [{"name": "lenet5"}, {"build": "some:where"}])
def test_a_network_whose_first_layer_is_not_known_is_left_out(model):
    assert counted(np.ones((12, 4), bool), [3, 4], **model) is None


def test_a_first_layer_that_is_not_pruned_is_left_out():
    assert counted(np.ones((12, 4), bool), [3, 4], path="output/kernel") is None


@pytest.mark.parametrize("name", MODELS)
def test_the_networks_are_those_whose_first_kernel_is_dense_on_the_image(name):
    if name == "vit":  # whose patches are embedded
        assert name not in DENSE_ON_PIXELS
        return
    kwargs = {} if name in DENSE_ON_PIXELS else {"width": 0.05}
    first = first_kernel(build(ModelConfig(name=name, kwargs=kwargs), (32, 32, 3), 10, seed=0))
    assert DENSE_ON_PIXELS.get(name) == (None if first.convolution else first.path)
