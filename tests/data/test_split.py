import numpy as np
import pytest

from tf_lottery import seeding
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


def kept(**config):
    return of(**config).train.x.ravel().tolist()


@pytest.mark.parametrize(("share", "count"), [(0.5, 20), (0.1, 4), (0.11, 4), (0.12, 5), (0.99, 40)])
def test_a_share_is_so_many_of_the_training_examples(share, count):
    assert len(of(share=share).train) == count


def test_a_share_is_drawn_in_order_and_leaves_the_other_parts_alone():
    few, all_ = of(share=0.25), of()
    train = few.train.x.ravel().tolist()
    assert train == sorted(train)
    assert set(train) < set(kept())
    assert train not in (kept()[:10], kept()[-10:])
    assert few.train.y.tolist() == [x % 4 for x in train]
    for part in ("validation", "test"):
        assert (getattr(few, part).x == getattr(all_, part).x).all()
    assert few.classes == all_.classes


def test_a_share_is_drawn_with_a_seed_of_its_own():
    """The draw is part of what finished runs were trained on: it must never change."""
    drawn = np.random.default_rng(seeding.derive(3, 0, "share")).permutation(kept(split_seed=3))
    assert kept(split_seed=3, share=0.1) == sorted(drawn[:4].tolist())


def test_a_share_follows_from_the_split_seed_alone_and_holds_the_smaller_ones():
    assert kept(share=0.25) == kept(share=0.25, order="fresh", augment={"flip": {}})
    assert kept(share=0.25) != kept(share=0.25, split_seed=1)
    assert set(kept(share=0.1)) < set(kept(share=0.25))


def test_the_share_of_everything_is_everything():
    assert kept(share=1.0) == kept()
    assert kept(share=0.999) == kept()


def test_a_share_of_no_example_is_refused():
    with pytest.raises(LotteryError, match=r"data\.share of the 40 training examples.*Received: 0\.01"):
        of(share=0.01)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, True, "0.5"])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        DataConfig(share=share)
