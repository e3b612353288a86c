import numpy as np
import pytest

from tf_lottery.config import DataConfig
from tf_lottery.data.examples import Examples
from tf_lottery.data.split import split
from tf_lottery.errors import LotteryError

COUNT = 50


def numbered(dtype=np.float32, shape=(1,)):
    """Examples whose content is their number."""
    x = np.arange(COUNT).reshape((COUNT,) + (1,) * len(shape)) * np.ones(shape, int)
    y = np.arange(COUNT) % 4
    return Examples(x.astype(dtype), y, x[:6].astype(dtype), y[:6], source="a test")


def of(examples=None, **config):
    return split(examples or numbered(), DataConfig(**{"validation": 10} | config))


def held_out(**config):
    return of(**config).validation.x.ravel().tolist()


def test_every_training_example_is_in_exactly_one_part():
    dataset = of()
    train, validation = dataset.train.x.ravel().tolist(), dataset.validation.x.ravel().tolist()
    assert (len(train), len(validation), len(dataset.test)) == (40, 10, 6)
    assert sorted(train + validation) == list(range(COUNT))


def test_labels_stay_with_their_examples():
    dataset = of()
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.y.tolist() == [x % 4 for x in part.x.ravel().tolist()]


def test_the_test_set_is_left_as_it_is():
    assert of().test.x.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_the_split_is_the_same_each_time_and_for_any_order_of_training():
    assert held_out() == held_out()
    assert held_out(order="fresh") == held_out(order="replay")


def test_the_held_out_examples_follow_from_the_split_seed():
    assert held_out(split_seed=1) != held_out(split_seed=0)


def test_the_held_out_examples_are_drawn_not_the_first_or_the_last():
    assert held_out() != list(range(10))
    assert held_out() != list(range(40, 50))


def test_pixels_are_scaled_to_one_and_other_numbers_left_alone():
    pixels = np.full((COUNT, 2), 255, np.uint8)
    labels = np.arange(COUNT) % 2
    assert of(Examples(pixels, labels, pixels, labels, "a test")).train.x.max() == 1
    as_floats = Examples(pixels.astype(np.float64), labels, pixels.astype(np.float64), labels, "a test")
    assert of(as_floats).test.x.min() == 255


def test_images_get_a_channel_axis_and_other_inputs_none():
    assert of(numbered(shape=(8, 8))).input_shape == (8, 8, 1)
    assert of(numbered(shape=(8, 8, 3))).input_shape == (8, 8, 3)
    assert of(numbered(shape=(64,))).input_shape == (64,)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_inputs_are_float32_and_labels_int32(dtype):
    dataset = of(numbered(dtype))
    for part in (dataset.train, dataset.validation, dataset.test):
        assert (part.x.dtype, part.y.dtype) == (np.float32, np.int32)


def test_classes_are_counted_over_all_training_labels():
    assert of().classes == 4


@pytest.mark.parametrize("validation", [50, 51, 5000])
def test_a_validation_set_that_leaves_nothing_to_train_on_is_refused(validation):
    with pytest.raises(LotteryError, match=f"50 training examples.*{validation}"):
        of(validation=validation)


def test_one_training_example_is_enough_to_split():
    assert len(of(validation=49).train) == 1
