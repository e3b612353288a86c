"""Dropout in Conv-2, Conv-4 and Conv-6."""

import itertools

import numpy as np
import pytest
from keras import layers

from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.models.build import build

SHAPE = (8, 8, 3)


def built(name, **kwargs):
    return build(ModelConfig(name=name, kwargs={"width": 0.1, **kwargs}), SHAPE, 10, seed=0)


@pytest.mark.parametrize(("name", "pairs"), [("conv2", 1), ("conv4", 2), ("conv6", 3)])
def test_dropout_follows_each_pooling_and_each_hidden_dense_layer(name, pairs):
    model = built(name, dropout=0.5)
    pairs_of = itertools.pairwise(model.layers)
    before = [one.name for one, two in pairs_of if isinstance(two, layers.Dropout)]
    assert before == [*(f"pool{pair + 1}" for pair in range(pairs)), "hidden1", "hidden2"]
    assert {layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)} == {0.5}


def test_a_network_with_dropout_infers_as_the_one_without():
    plain, dropped = built("conv4"), built("conv4", dropout=0.5)
    x = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    assert not any(isinstance(layer, layers.Dropout) for layer in plain.layers)
    dropped.set_weights(plain.get_weights())
    assert np.array_equal(plain(x), dropped(x, training=False))
    assert not np.array_equal(plain(x), dropped(x, training=True))


@pytest.mark.parametrize(
    ("rate", "said"), [(1, "dropout below 1"), (1.5, "between 0 and 1"), ("half", "conv2")]
)
def test_a_rate_that_leaves_nothing_or_is_none_is_refused(rate, said):
    with pytest.raises(LotteryError, match=said):
        built("conv2", dropout=rate)
