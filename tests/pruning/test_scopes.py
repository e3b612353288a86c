import math

import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.schedules import keep_next
from tf_lottery.pruning.scopes import SCOPES, kept
from tf_lottery.pruning.select import select

LENET = {"hidden1": (784, 300), "hidden2": (300, 100), "output": (100, 10)}
RATES = {"hidden1": 0.2, "hidden2": 0.2, "output": 0.1}
EQUAL = dict.fromkeys(LENET, 0.2)


def sizes(shapes):
    return {path: math.prod(shape) for path, shape in shapes.items()}


def total(counts):
    return sum(counts.values())


def lenet(scope, rates=RATES, remaining=None, **settings):
    return kept(LENET, remaining or sizes(LENET), rates, scope, **settings)


@pytest.mark.parametrize(("rounds", "left"), [(1, 213_060), (12, 18_506), (15, 9_537)])
def test_rounds_pruned_at_once_leave_as_many_weights_as_one_after_another(rounds, left):
    counts = lenet("layer", rounds=rounds)
    step_by_step = sizes(LENET)
    for _ in range(rounds):
        step_by_step = {path: keep_next(count, RATES[path]) for path, count in step_by_step.items()}
    assert counts == {(path,): count for path, count in step_by_step.items()}
    assert total(counts) == left


@pytest.mark.parametrize("scope", sorted(SCOPES.keys() - {"layer"}))
@pytest.mark.parametrize("rounds", [3, 15])
def test_every_scope_keeps_as_many_weights_as_the_layers_whose_count_it_matches(scope, rounds):
    matched = lenet(scope, rounds=rounds, counted="layer")
    assert total(matched) == total(lenet("layer", rounds=rounds))


def test_weights_counted_over_all_layers_are_rounded_together():
    assert lenet("global", EQUAL, rounds=15) == {("hidden1", "hidden2", "output"): 9_366}


def test_a_layer_left_out_neither_counts_nor_competes():
    rates = EQUAL | {"output": 0.0}
    assert lenet("global", rates) == {("hidden1", "hidden2"): round(0.8 * 265_200)}
    assert ("output",) not in lenet("erk", rates)


def test_erk_keeps_weights_in_proportion_to_the_sum_of_dimensions():
    counts = lenet("erk", EQUAL, rounds=15)
    exact = {path: 9_366 * sum(LENET[path]) / (1084 + 400 + 110) for path in LENET}
    assert total(counts) == 9_366
    assert all(abs(counts[path,] - exact[path]) < 1 for path in LENET)


def test_erk_keeps_a_small_layer_whole_and_gives_the_rest_to_the_others():
    counts = lenet("erk", EQUAL)
    left = keep_next(266_200, 0.2)
    assert counts["output",] == 1_000
    assert counts["hidden2",] == 30_000
    assert counts["hidden1",] == left - 31_000


def test_a_kernel_of_a_convolution_has_four_dimensions():
    shapes = {"conv": (3, 3, 16, 32), "dense": (100, 40)}
    counts = kept(shapes, sizes(shapes), dict.fromkeys(shapes, 0.9), "erk")
    share = 861 / (3 + 3 + 16 + 32 + 140)
    assert counts == {("conv",): round(54 * share), ("dense",): round(140 * share)}


def test_erk_along_a_chain_only_shrinks_and_its_totals_are_exact():
    generator = np.random.default_rng(0)
    masks = masks_.ones(LENET)
    left = masks_.size(masks)
    for _ in range(20):
        scores = {path: generator.random(mask.shape) for path, mask in masks.items()}
        pruned = select(scores, masks, EQUAL, "erk")
        left = keep_next(left, 0.2)
        assert masks_.remaining(pruned) == left
        assert masks_.shrinks(masks, pruned)
        masks = pruned


def test_smart_ratios_fall_from_layer_to_layer_and_the_last_keeps_three_tenths():
    shapes = {"a": (20, 50), "b": (50, 20), "c": (20, 50), "output": (50, 10)}
    counts = kept(shapes, sizes(shapes), dict.fromkeys(shapes, 0.7), "smart_ratio")
    assert counts["output",] == 150
    assert total(counts) == keep_next(3_500, 0.7)
    weights = 20 + 12 + 6  # l^2 + l for l = 4, 3, 2
    assert [counts[path,] for path in "abc"] == [round(900 * share / weights) for share in (20, 12, 6)]


def test_smart_ratios_of_one_layer_and_of_full_layers_keep_the_total():
    one = {"only": (10, 10)}
    assert kept(one, sizes(one), {"only": 0.5}, "smart_ratio") == {("only",): 50}
    shapes = {"a": (2, 2), "output": (10, 10)}
    counts = kept(shapes, sizes(shapes), dict.fromkeys(shapes, 0.1), "smart_ratio")
    assert counts == {("a",): 4, ("output",): keep_next(104, 0.1) - 4}


def test_smart_ratios_refuse_a_total_that_the_last_layer_alone_would_exceed():
    with pytest.raises(LotteryError, match="but output alone would keep 30"):
        kept(
            {"a": (2, 2), "output": (10, 10)},
            {"a": 4, "output": 100},
            {"a": 0.9, "output": 0.9},
            "smart_ratio",
        )


def test_different_rates_are_refused_where_weights_are_counted_together():
    with pytest.raises(LotteryError, match=r"one rate for all layers.*'erk'. Received: \[0.1, 0.2\]"):
        lenet("erk")


def test_a_count_over_all_layers_cannot_be_distributed_by_layer():
    with pytest.raises(LotteryError, match="can't be distributed by scope 'layer'"):
        lenet("layer", EQUAL, counted="global")


def test_an_unknown_scope_is_refused_with_the_known_ones():
    with pytest.raises(LotteryError, match="layer, global, erk, smart_ratio. Received: 'model'"):
        lenet("model")
