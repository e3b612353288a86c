import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.select import select


def ones(**scores):
    return masks_.ones({path: np.shape(score) for path, score in scores.items()})


def of_one(scores, rate, mask=None, scope="layer"):
    """Prune one layer; return the new mask as 0 and 1."""
    scores = np.asarray(scores, np.float32)
    mask = np.ones(scores.shape, bool) if mask is None else np.array(mask, bool)
    return select({"k": scores}, {"k": mask}, {"k": rate}, scope)["k"].astype(int).tolist()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_lowest_scores_go(scope):
    assert of_one([3, 1, 4, 2, 5], 0.4, scope=scope) == [1, 0, 1, 0, 1]
    assert of_one([[3, 1], [4, 2]], 0.5, scope=scope) == [[1, 0], [1, 0]]


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_of_ten_equal_scores_at_two_tenths_exactly_the_first_two_go(scope):
    assert of_one([7] * 10, 0.2, scope=scope) == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]


def test_many_ties_go_by_index_too():
    scores = np.tile(np.float32([2, 1, 2]), 1000)
    kept = of_one(scores, 0.5)
    expected = np.array([1, 0, 1] * 1000)
    expected[np.flatnonzero(expected)[:500]] = 0
    assert kept == expected.tolist()


def test_ties_at_the_border_go_by_index():
    assert of_one([2, 1, 2, 2, 9], 0.6) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("count", "gone"), [(5, 2), (7, 4), (3, 2), (1, 0)])
def test_half_a_weight_is_rounded_to_even(count, gone):
    assert count - sum(of_one(np.arange(count), 0.5)) == gone


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_pruned_weights_do_not_come_back_and_do_not_count(scope):
    # Pruned: the highest and the lowest score. Of 5 that remain, 2 go.
    assert of_one([9, 3, 1, 0, 5, 4, 2], 0.4, [0, 1, 1, 0, 1, 1, 1], scope) == [0, 1, 0, 0, 1, 1, 0]


def test_rounds_shrink_masks_by_exact_counts():
    random = np.random.default_rng(0)
    masks = masks_.ones({"k": (40, 25)})
    counts = []
    for _ in range(6):
        pruned = select({"k": random.integers(0, 3, (40, 25))}, masks, {"k": 0.2})  # ties everywhere
        assert masks_.shrinks(masks, pruned)
        masks = pruned
        counts.append(masks_.remaining(masks))
    assert counts == [800, 640, 512, 410, 328, 262]


def test_the_masks_given_are_not_changed():
    masks = masks_.ones({"a": (4,), "b": (4,)})
    scores = {"a": np.arange(4), "b": np.arange(4)}
    for scope, rates in (("layer", {"a": 0.5, "b": 0.5}), ("global", {"a": 0.5, "b": 0.0})):
        select(scores, masks, rates, scope)
        assert masks_.density(masks) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_scores_that_are_not_finite_are_refused(bad, scope):
    with pytest.raises(LotteryError, match=r"NaN or infinity in k"):
        of_one([1, bad, 3, 4], 0.25, scope=scope)


def test_scores_of_pruned_weights_are_not_looked_at():
    assert of_one([np.nan, 2, 1, 3], 0.4, [0, 1, 1, 1]) == [0, 1, 0, 1]


def test_layer_scope_prunes_each_layer_at_its_own_rate():
    scores = {"low": np.arange(10.0), "high": 100 + np.arange(10.0)}
    pruned = select(scores, ones(**scores), {"low": 0.5, "high": 0.1})
    assert np.flatnonzero(~pruned["low"]).tolist() == [0, 1, 2, 3, 4]
    assert np.flatnonzero(~pruned["high"]).tolist() == [0]


def test_global_scope_lets_layers_compete():
    scores = {"low": np.arange(10.0), "high": 5.5 + np.arange(10.0)}
    pruned = select(scores, ones(**scores), {"low": 0.4, "high": 0.4}, "global")
    assert np.flatnonzero(~pruned["low"]).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(~pruned["high"]).tolist() == [0]


def test_global_ties_go_in_the_order_of_layers():
    scores = {"b": np.ones(4), "a": np.ones(4)}
    pruned = select(scores, ones(**scores), {"a": 0.25, "b": 0.25}, "global")
    assert pruned["b"].tolist() == [False, False, True, True]
    assert pruned["a"].all()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_layer_of_rate_zero_is_left_out(scope):
    scores = {"output": np.zeros(10), "hidden": np.ones(10)}
    pruned = select(scores, ones(**scores), {"output": 0.0, "hidden": 0.2}, scope)
    assert pruned["output"].all()
    assert np.count_nonzero(pruned["hidden"]) == 8


def test_global_scope_with_every_layer_left_out_prunes_nothing():
    assert of_one([1, 2, 3], 0.0, scope="global") == [1, 1, 1]


def test_global_scope_refuses_two_rates():
    scores = {"a": np.ones(4), "b": np.ones(4)}
    with pytest.raises(LotteryError, match=r"0\.1, 0\.2"):
        select(scores, ones(**scores), {"a": 0.2, "b": 0.1}, "global")


def test_layers_keep_their_names_shapes_and_order():
    scores = {"z": np.arange(9, 15).reshape(2, 3), "a": np.arange(18).reshape(3, 3, 1, 2)}
    for scope in ("layer", "global"):
        pruned = select(scores, ones(**scores), {"a": 0.5, "z": 0.5}, scope)
        assert [(path, mask.shape, mask.dtype) for path, mask in pruned.items()] == [
            ("z", (2, 3), bool),
            ("a", (3, 3, 1, 2), bool),
        ]


def test_global_pruning_that_empties_a_layer_is_refused_and_names_it():
    scores = {"weak": np.zeros(2), "strong": np.ones(8)}
    with pytest.raises(LotteryError, match="empties weak"):
        select(scores, ones(**scores), {"weak": 0.2, "strong": 0.2}, "global")


def test_layer_pruning_that_empties_a_layer_is_refused_and_names_it():
    with pytest.raises(LotteryError, match="empties k"):
        of_one([1, 2, 3], 0.9)


def test_a_layer_that_was_empty_before_is_nobodys_fault():
    assert of_one([1, 2, 3], 0.5, [0, 0, 0]) == [0, 0, 0]


def test_an_unknown_scope_is_refused():
    with pytest.raises(LotteryError, match="'everywhere'"):
        of_one([1, 2, 3], 0.5, scope="everywhere")


def test_a_minimum_of_each_layer_stays_and_counts_are_exact():
    scores = {"small": np.arange(10) / 1000, "large": 1 + np.arange(30) / 10}
    masks = {path: np.ones(values.shape, bool) for path, values in scores.items()}
    rates = dict.fromkeys(scores, 0.5)
    with pytest.raises(LotteryError, match="empties small"):
        select(scores, masks, rates, "global")
    pruned = select(scores, masks, rates, "global", min_density=0.15)
    assert np.flatnonzero(pruned["small"]).tolist() == [8, 9]
    assert int(pruned["large"].sum()) == 18
    with pytest.raises(LotteryError, match="Expected at most 3 weights to prune.*Received: 5"):
        select(scores, {"small": masks["small"]}, rates, "layer", min_density=0.7)
