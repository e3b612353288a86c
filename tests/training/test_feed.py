"""Resident and streamed examples: the same, whatever holds them."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_loop import begin, same_bits, train
from tests.training.trainings import Calling, trainer
from tf_lottery.config import DataConfig, ModelConfig
from tf_lottery.data import sources
from tf_lottery.data import split as split_
from tf_lottery.data.augment import make_augment
from tf_lottery.data.examples import Examples
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import PIXEL, Split
from tf_lottery.training import feed
from tf_lottery.training.feed import Resident, Stream, make_feed
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.stop import Stop

SPANS = [(0, 9), (9, 18), (18, 20), (20, 29), (29, 30)]
BATCH = 30
AUGMENT = {"pad_and_crop": {"padding": 1}, "flip": {}}
DROPOUT = ModelConfig(build="tests.training.networks:with_dropout")


@pytest.fixture(params=["float32", "uint8"])
def split(request, digits):
    """Training examples of the digits, as floats and as pixels."""
    if request.param == "float32":
        return digits.train
    return Split(np.round(digits.train.source * 255).astype(np.uint8), digits.train.y, digits.train.rows)


def order(split, seed=7):
    return BatchOrder(seed, len(split), BATCH)


def test_resident_and_stream_give_the_same_bits(split, monkeypatch):
    monkeypatch.setattr(feed, "STEPS_PER_CALL", 9)
    feeds = Resident(split, BATCH), Stream(split, BATCH, None)
    assert feeds[0].spec() == feeds[1].spec()
    found = [list(each.chunks(order(split), SPANS)) for each in feeds]
    for (first, last), resident, stream in zip(SPANS, *found, strict=True):
        rows = order(split).batches(first, last)
        for x, y in (resident, stream):
            assert (x.shape, x.dtype) == (feeds[0].spec()[0].shape, split.source.dtype)
            assert x[: last - first].numpy().tobytes() == split.take(rows).tobytes()
            assert y[: last - first].numpy().tobytes() == split.y[rows].tobytes()
        assert resident[0].numpy().tobytes() == stream[0].numpy().tobytes()  # the filling, too


def test_augmented_examples_are_those_of_their_step(split, monkeypatch):
    monkeypatch.setattr(feed, "STEPS_PER_CALL", 9)
    augment = make_augment(AUGMENT, split.shape)
    streamed = Stream(split, BATCH, augment)
    for (first, last), (x, y) in zip(SPANS, streamed.chunks(order(split), SPANS), strict=True):
        assert (x.shape, x.dtype) == (streamed.spec()[0].shape, tf.float32)
        for index, step in enumerate(range(first, last)):
            rows = order(split).batches(step, step + 1)[0]
            images = split.take(rows)
            images = images * PIXEL if images.dtype == np.uint8 else images
            expected = augment(tf.constant(images), tf.constant([7, step])).numpy()
            assert x[index].numpy().tobytes() == expected.tobytes(), step
            assert not np.array_equal(expected, images)
            assert y[index].numpy().tolist() == split.y[rows].tolist()


def test_bytes_stay_bytes_until_they_are_used(digits):
    pixels = Split(np.round(digits.train.source * 255).astype(np.uint8), digits.train.y, digits.train.rows)
    assert feed.scale(tf.constant(pixels.take(slice(None)))).numpy().tobytes() == pixels.x.tobytes()
    assert pixels.bytes_an_example == 64
    assert digits.train.bytes_an_example == 256


def test_the_rule_that_chooses(digits, monkeypatch, tmp_path):
    augment = make_augment(AUGMENT, digits.train.shape)
    assert type(make_feed(digits.train, BATCH, None)) is Resident
    assert type(make_feed(digits.train, BATCH, None, "stream")) is Stream
    assert type(make_feed(digits.train, BATCH, augment)) is Stream
    np.save(tmp_path / "x.npy", digits.train.source)
    mapped = Split(np.load(tmp_path / "x.npy", mmap_mode="r"), digits.train.y, digits.train.rows)
    assert type(make_feed(mapped, BATCH, None)) is Stream
    assert type(make_feed(mapped, BATCH, None, "resident")) is Resident
    monkeypatch.setattr(feed, "RESIDENT_BYTES", len(digits.train) * 256 - 1)
    assert type(make_feed(digits.train, BATCH, None)) is Stream
    monkeypatch.setattr(feed, "RESIDENT_BYTES", len(digits.train) * 256)
    assert type(make_feed(digits.train, BATCH, None)) is Resident


def test_a_call_takes_no_more_bytes_than_it_may(digits, monkeypatch):
    assert Resident(digits.train, BATCH).steps_per_call == 100
    monkeypatch.setattr(feed, "CHUNK_BYTES", 5 * BATCH * 256)
    assert Resident(digits.train, BATCH).steps_per_call == 5
    assert Stream(digits.train, BATCH, None).steps_per_call == 5
    monkeypatch.setattr(feed, "CHUNK_BYTES", 10)
    assert Resident(digits.train, BATCH).steps_per_call == 1


def data(**settings):
    return DataConfig(name="digits", validation=200, **settings)


def weights_after(digits, steps=40, **settings):
    setup = trainer(digits, DROPOUT, data=data(**settings), xla=False)
    begin(setup)
    return train(setup, digits, steps)


def test_the_pipeline_changes_no_bit_of_a_training(digits):
    expected = weights_after(digits, pipeline="resident")
    assert same_bits(weights_after(digits, pipeline="stream"), expected)


@pytest.fixture(scope="module")
def augmented(digits):
    return trainer(digits, DROPOUT, data=data(augment=AUGMENT), xla=False)


def test_steps_a_call_change_no_bit_of_an_augmented_training(digits, augmented, monkeypatch):
    begin(augmented)
    expected = train(augmented, digits, 40)
    assert not same_bits(weights_after(digits), expected)
    monkeypatch.setattr(feed, "STEPS_PER_CALL", 7)
    assert same_bits(weights_after(digits, augment=AUGMENT), expected)
    monkeypatch.setattr(feed, "CHUNK_BYTES", 3 * 60 * 256)
    assert same_bits(weights_after(digits, augment=AUGMENT), expected)


def test_an_augmented_training_goes_on_from_a_rewind_point_to_the_same_bits(digits, augmented, tmp_path):
    manager = RewindManager(tmp_path)
    begin(augmented)
    expected = train(augmented, digits, steps=40)
    begin(augmented)
    train(augmented, digits, steps=15)
    manager.save(15, augmented.model, augmented.optimizer)
    train(augmented, digits, first=15, steps=30, seed=8)
    manager.restore(15, augmented.model, augmented.optimizer)
    assert same_bits(train(augmented, digits, first=15, steps=40), expected)


def interrupted(setup, data):
    class Interrupting(Stop):
        def reached(self, step):
            raise KeyboardInterrupt

    stops = [Calling([10]), Interrupting()]
    with pytest.raises(KeyboardInterrupt):
        setup.loop.run(0, 100_000, BatchOrder(7, len(data.train), 60), stops)


def test_an_interrupted_training_can_be_begun_again(digits, augmented):
    begin(augmented)
    expected = train(augmented, digits, steps=20)
    interrupted(augmented, digits)
    begin(augmented)
    assert same_bits(train(augmented, digits, steps=20), expected)


IN_A_PROCESS = """
import tests.devices
from tests.training.test_feed import AUGMENT, data, interrupted
from tests.training.trainings import Calling, trainer
from tf_lottery.data import sources, split
digits = split.split(sources.load(data()), data())
interrupted(trainer(digits, data=data(augment=AUGMENT)), digits)
print("interrupted")
"""


@pytest.mark.slow
def test_a_process_ends_after_an_interrupted_training():
    done = subprocess.run([sys.executable, "-c", IN_A_PROCESS], check=True, capture_output=True, text=True)
    assert done.stdout == "interrupted\n"


@pytest.fixture(scope="module")
def standardized():
    """The digits as pixels, standardized."""
    arrays = sources.load(data()).arrays()
    arrays |= {name: np.round(arrays[name] * 255).astype(np.uint8) for name in ("x_train", "x_test")}
    return split_.split(Examples(**arrays, source="pixels"), data(standardize=True))


def test_standardized_examples_are_the_same_whatever_feeds_them(standardized, monkeypatch):
    monkeypatch.setattr(feed, "STEPS_PER_CALL", 9)
    train = standardized.train
    feeds = Resident(train, BATCH), Stream(train, BATCH, None)
    assert feeds[0].spec() == feeds[1].spec()
    assert feeds[0].spec()[0].dtype == tf.float32
    found = [list(each.chunks(order(train), SPANS)) for each in feeds]
    for (first, last), (x, _), (y, _) in zip(SPANS, *found, strict=True):
        assert x.numpy().tobytes() == y.numpy().tobytes()
        expected = train.x[order(train).batches(first, last)]
        assert feed.scale(x[: last - first]).numpy().tobytes() == expected.tobytes()


def test_images_are_standardized_before_they_are_augmented(standardized):
    train, seen = standardized.train, []

    def augment(images, seed):
        seen.append(images)
        return tf.pad(images[:, 1:], [[0, 0], [1, 0], [0, 0], [0, 0]])

    ((x, _),) = Stream(train, BATCH, augment).chunks(order(train), [(0, 1)])
    images = train.x[order(train).batches(0, 1)[0]]
    assert seen[0].dtype == tf.float32
    assert (x[0, :, 1:].numpy() == images[:, 1:]).all()
    assert (x[0, :, 0].numpy() == 0).all(), "the mean"
    assert not (images[:, 0] == 0).any(), "black is below the mean"


def test_a_standardized_training_is_the_same_whatever_feeds_it(standardized, augmented):
    trained = []
    for pipeline in ("resident", "stream"):
        setup = trainer(standardized, DROPOUT, data=data(standardize=True, pipeline=pipeline), xla=False)
        begin(setup)
        trained.append((train(setup, standardized, 40), setup.measure("validation"), setup.measure("test")))
        assert setup.resolved["standardized"] == standardized.standardized
    assert same_bits(trained[0][0], trained[1][0])
    assert trained[0][1:] == trained[1][1:]
    assert "standardized" not in augmented.resolved
