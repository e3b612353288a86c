"""Searches around `fit` whose tickets have patterns."""

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.errors import LotteryError

X = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def build():
    stack = [keras.layers.Dense(24, "relu", name="hidden"), keras.layers.Dense(1, name="output")]
    model = keras.Sequential([keras.Input((8,)), *stack])
    model.compile("adam", "mse")
    return model


def fitted(**settings):
    search = lottery.LotterySearch(build, verbose=0, **settings)
    return search.fit(X, Y, validation_split=0.2, epochs=1)


def test_units_are_pruned_round_by_round_and_compact_removes_them():
    result = fitted(rate=0.5, rounds=2, pattern="units", layer_rates={"output": 0}, arms={"shuffled": {}})
    for round, left in ((1, 12), (2, 6)):
        mask = result.ticket(round=round).masks["hidden/kernel"]
        assert (mask == mask[0]).all()
        assert mask[0].sum() == left
    plain = result.trained(round=2)
    smaller = lottery.compact(plain)
    assert smaller.units == {"hidden": (24, 6)}
    np.testing.assert_allclose(smaller.model(X), plain(X), atol=1e-5)


def test_two_of_four_takes_one_round_without_being_told():
    result = fitted(rate=0.5, pattern="2:4")
    assert result.densities == [1.0, 0.5]
    mask = result.ticket(round=1).masks["hidden/kernel"]
    assert (mask.reshape(2, 4, 24).sum(axis=1) == 2).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "rows"}, "Expected pattern as single, units"),
        ({"pattern": None}, "Expected pattern as single, units"),
        ({"pattern": "units", "rounds": 1}, "would prune output/kernel"),
        ({"pattern": "2:4"}, "Expected pruning.rate 0.5 with pattern 2:4"),
        ({"pattern": "2:4", "rate": 0.5, "rounds": 2}, "Expected pruning.rounds 1"),
        ({"pattern": "units", "scope": "erk"}, "distribute single weights"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(settings, message):
    with pytest.raises(LotteryError, match=message) as caught:
        fitted(**settings)
    assert "\n" not in str(caught.value)
