"""What a run's record says of its cost, for networks small enough to count by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tf_lottery.method.spent import Spent
from tf_lottery.runs.cost import connected, spent


@pytest.fixture(scope="module")
def network():
    stack = [keras.Input((4,)), layers.Dense(3, "relu", name="a"), layers.Dense(2, name="b")]
    model = lottery.make_prunable(keras.Sequential(stack))
    second = np.ones((3, 2), bool)
    second[0] = False
    lottery.set_masks(model, {"a/kernel": np.ones((4, 3), bool), "b/kernel": second})
    return model


def test_flops_are_three_times_the_forward_ones_of_every_example(network):
    assert spent(network, 10, 5, 1.5, 2.5) == Spent(
        steps=10,
        examples=50,
        flops_dense=3 * 2 * 18 * 50,
        flops_remaining=3 * 2 * 16 * 50,
        seconds=1.5,
        seconds_total=2.5,
    )


def test_a_batch_of_unknown_size_leaves_flops_unknown(network):
    found = spent(network, 10, None, 1.5, 2.5)
    assert (found.steps, found.examples, found.flops_dense, found.flops_remaining) == (10, None, None, None)


def test_layers_that_are_not_counted_are_named():
    model = lottery.make_prunable(keras.Sequential([keras.Input((5, 4)), layers.GRU(3, name="gru")]))
    found = spent(model, 10, 5, 1.5, 2.5)
    assert (found.examples, found.flops_dense, found.uncounted) == (50, None, ["gru"])
    assert connected(model) == {}


def test_what_is_connected_is_counted_by_layer(network):
    counts = {"a/kernel": 8, "b/kernel": 4}
    assert connected(network) == {"effective_remaining": 12, "effective": counts}
