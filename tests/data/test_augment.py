import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.data.augment import flip, make_augment, pad_and_crop
from tf_lottery.errors import LotteryError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(0.1, 1, (2000, 6, 5, 2)).astype(np.float32)
SHAPE = (6, 5, 2)
BOTH = {"pad_and_crop": {"padding": 2}, "flip": {}}
DARKEN = "tests.data.augmentations:darken"


def seed(order=7, step=0):
    return tf.constant([order, step])


def test_a_flip_mirrors_about_half_of_the_images_left_to_right():
    flipped = flip(tf.constant(IMAGES), seed()).numpy()
    same = np.array([np.array_equal(*pair) for pair in zip(flipped, IMAGES, strict=True)])
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, IMAGES, strict=True)])
    assert (same ^ mirrored).all()
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(IMAGES))


def shifts(image, padding):
    """Every shift of an image by up to `padding` pixels, by hand."""
    height, width = image.shape[:2]
    found = {}
    for down in range(-padding, padding + 1):
        for right in range(-padding, padding + 1):
            shifted = np.zeros_like(image)
            for row in range(height):
                for column in range(width):
                    if 0 <= row - down < height and 0 <= column - right < width:
                        shifted[row, column] = image[row - down, column - right]
            found[shifted.tobytes()] = (down, right)
    return found


@pytest.mark.parametrize(("options", "padding"), [({}, 4), ({"padding": 1}, 1), ({"padding": 0}, 0)])
def test_pad_and_crop_gives_every_shift_and_only_these(options, padding):
    image = IMAGES[0]
    expected = shifts(image, padding)
    assert len(expected) == (2 * padding + 1) ** 2
    count = 4000
    cropped = pad_and_crop(tf.constant(np.stack([image] * count)), seed(), **options).numpy()
    found = [expected.get(each.tobytes()) for each in cropped]
    assert set(found) == set(expected.values())  # none is None
    share = 1 / len(expected)
    for shift in expected.values():
        assert abs(found.count(shift) / count - share) <= 5 * np.sqrt(share * (1 - share) / count)


@pytest.mark.parametrize("settings", [{"flip": {}}, {"pad_and_crop": {}}, BOTH, {DARKEN: {}}], ids=str)
def test_images_follow_from_seed_and_step_alone(settings):
    augment = make_augment(settings, SHAPE)
    images = tf.constant(IMAGES[:50])
    once = augment(images, seed(7, 3)).numpy()
    augment(images, seed(1, 1))
    tf.random.set_seed(5)
    assert augment(images, seed(7, 3)).numpy().tobytes() == once.tobytes()
    assert tf.function(augment)(images, seed(7, 3)).numpy().tobytes() == once.tobytes()
    assert make_augment(settings, SHAPE)(images, seed(7, 3)).numpy().tobytes() == once.tobytes()
    for other in (seed(7, 4), seed(8, 3), seed(3, 7)):
        assert not np.array_equal(augment(images, other), once)
    assert not np.array_equal(once, images)
    assert (once.dtype, once.shape) == (np.float32, images.shape)


def test_augmentations_are_applied_in_turn_each_with_a_seed_of_its_own():
    images = tf.constant(IMAGES[:50])
    own = [tf.random.experimental.stateless_fold_in(seed(), index) for index in (0, 1)]
    expected = flip(pad_and_crop(images, own[0], padding=2), own[1])
    assert np.array_equal(make_augment(BOTH, SHAPE)(images, seed()), expected)
    reverse = dict(reversed(BOTH.items()))
    expected = pad_and_crop(flip(images, own[0]), own[1], padding=2)
    assert np.array_equal(make_augment(reverse, SHAPE)(images, seed()), expected)


def test_a_function_of_the_users_own_gets_its_options():
    factors = make_augment({DARKEN: {"most": 0.25}}, SHAPE)(tf.constant(IMAGES), seed()) / IMAGES
    assert factors.numpy().min() == pytest.approx(0.75, abs=0.01)
    assert np.ptp(factors.numpy(), axis=(1, 2, 3)).max() < 1e-5


def test_nothing_to_do_is_none():
    assert make_augment({}, SHAPE) is None
    assert make_augment({}, (4,)) is None


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"rotate": {}}, SHAPE, "flip, pad_and_crop, or as 'package.module:function'. Received: 'rotate'"),
        ({"flip": {}}, (30,), r"images \(height, width, channels\).*Received: inputs of shape \(30,\)"),
        ({"flip": {"angle": 1}}, SHAPE, r"augmentation flip {'angle': 1}. Received: TypeError: .*angle"),
        ({"pad_and_crop": {"padding": "4"}}, SHAPE, "pad_and_crop {'padding': '4'}. Received: "),
        ({"pad_and_crop": {"padding": -1}}, SHAPE, "pad_and_crop {'padding': -1}. Received: "),
        ({"nowhere.at_all:f": {}}, SHAPE, "data.augment.*Received: 'nowhere.at_all:f' .ModuleNotFound"),
        ({"tests.data.augmentations:f": {}}, SHAPE, "data.augment.*Received: .*AttributeError"),
        (
            {"tests.data.augmentations:smaller": {}},
            SHAPE,
            r"float32 \(2, 6, 5, 2\).*smaller.*Received: float32 \(2, 5, 5, 2\)",
        ),
        (
            {"tests.data.augmentations:as_bytes": {}},
            SHAPE,
            r"as_bytes.*Received: uint8 \(2, 6, 5, 2\)",
        ),
        (
            {"flip": {}, "tests.data.augmentations:raises": {}},
            SHAPE,
            "raises.*Received: RuntimeError: .*no augmentation today",
        ),
        ({"tests.data.augmentations:of_numpy": {}}, SHAPE, "of_numpy.*Received: .*numpy"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_augment_is_refused_in_one_line(settings, shape, message):
    with pytest.raises(LotteryError, match=f"^Expected .*{message}") as refusal:
        make_augment(settings, shape)
    assert "\n" not in str(refusal.value)
