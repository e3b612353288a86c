"""Statistics of batch normalization, against those that Keras gathers batch by batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Split
from tf_lottery.models.build import MODELS
from tf_lottery.training.feed import Resident, Stream, scale
from tf_lottery.training.recalibrate import Recalibration, normalizations
from tf_lottery.training.state import capture, model_variables

BATCH, BATCHES = 16, 3


@pytest.fixture(scope="module")
def examples(digits):
    return Split(digits.train.source, digits.train.y[:200], digits.train.rows[:200])


@pytest.fixture(scope="module")
def network(examples):
    """ResNet-20 with a tenth of its channels."""
    return MODELS["resnet20"](input_shape=examples.shape, classes=10, width=0.1)


def by_keras(model, examples):
    """The cumulative means of Keras's own statistics, in eager mode, as PyTorch's `momentum=None` has it."""
    for number, rows in enumerate(BatchOrder(0, len(examples), BATCH).batches(0, BATCHES), 1):
        for layer in normalizations(model):
            layer.momentum = 1 - 1 / number
        model(scale(tf.constant(examples.take(rows))), training=True)
    found = statistics(model)
    for layer in normalizations(model):
        layer.momentum = 0.9
    return found


def statistics(model):
    return [
        np.array(each)
        for layer in normalizations(model)
        for each in (layer.moving_mean, layer.moving_variance)
    ]


def close(first, second):
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(first, second, strict=True))


def test_statistics_are_the_means_of_the_batches_and_nothing_else_changes(network, examples):
    before, expected = capture(model_variables(network)), by_keras(network, examples)
    recalibrate = Recalibration(network, Resident(examples, BATCH), len(examples), BATCHES, xla=False)
    assert {layer.momentum for layer in normalizations(network)} == {0.9}, "training goes on as before"
    recalibrate()
    once = statistics(network)
    assert close(once, expected)
    recalibrate()
    assert all(np.array_equal(a, b) for a, b in zip(once, statistics(network), strict=True)), "it forgets"
    after = capture(model_variables(network))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if "moving_" in name}


def test_a_feed_of_several_calls_gives_the_same(network, examples):
    feed = Stream(examples, BATCH, augment=None)
    feed.steps_per_call = 2
    Recalibration(network, feed, len(examples), BATCHES, xla=False)()
    assert close(statistics(network), by_keras(network, examples))


def test_more_batches_than_an_epoch_has_are_an_epoch(examples):
    model = keras.Sequential([keras.Input(examples.shape), keras.layers.BatchNormalization()])
    Recalibration(model, Resident(examples, 100), len(examples), 1000, xla=False)()
    pixels = examples.take(BatchOrder(0, len(examples), 100).batches(0, 2).reshape(-1))
    assert np.allclose(model.layers[0].moving_mean, pixels.mean((0, 1, 2)), atol=1e-6)


def test_frozen_normalization_stays_what_it_is(examples):
    model = keras.Sequential([keras.Input(examples.shape), keras.layers.BatchNormalization()])
    model.trainable = False
    assert normalizations(model) == []
