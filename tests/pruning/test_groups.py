"""Exact counts, by hand, of what is pruned together."""

import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.groups import check_fixed, check_grouped_scope, groups
from tf_lottery.pruning.masks import ones
from tf_lottery.pruning.patterns import pattern
from tf_lottery.pruning.select import select

RANDOM = np.random.default_rng(3)


def prune(text, scores, rates, scope="layer", masks=None, axes=None, min_density=0.0, criterion="magnitude"):
    shapes = {path: array.shape for path, array in scores.items()}
    masks = ones(shapes) if masks is None else masks
    axes = dict.fromkeys(shapes, 1) if axes is None else axes
    grouped = groups(text, shapes, rates, axes)
    counts = grouped.kept(masks, scope)
    return grouped.prune(scores, masks, counts, min_density, criterion)


def columns(*scores, rows=2):
    return np.tile(np.array(scores, float), (rows, 1))


def test_single_weights_are_pruned_as_ever():
    scores = {"a": RANDOM.normal(size=(6, 5)), "b": RANDOM.normal(size=(5, 2))}
    rates = {"a": 0.3, "b": 0.1}
    before = select(scores, ones({"a": (6, 5), "b": (5, 2)}), rates)
    now = prune("single", scores, rates, axes={})
    assert all((before[path] == now[path]).all() for path in scores)


def test_units_of_each_layer_go_by_the_mean_of_their_weights():
    scores = {"a": np.array([[9.0, 1, 3, 4], [0, 5, 3, 4]]), "b": columns(1, 2)}
    masks = prune("units", scores, {"a": 0.5, "b": 0.5})
    # means 4.5, 3, 3, 4 and 1, 2: of the equal ones the lower index goes first
    assert masks["a"].tolist() == [[True, False, False, True]] * 2
    assert masks["b"].tolist() == [[False, True]] * 2


@pytest.mark.parametrize(("rate", "gone"), [(0.25, [1]), (0.3, [1]), (0.375, [1, 2]), (0.5, [1, 2])])
def test_exactly_the_rounded_number_of_units_goes_and_ties_go_by_index(rate, gone):
    masks = prune("units", {"a": columns(9, 1, 1, 1)}, {"a": rate})
    assert np.flatnonzero(~masks["a"][0]).tolist() == gone
    assert (masks["a"] == masks["a"][0]).all()


def test_units_compete_over_layers_by_their_mean_and_units_are_counted():
    scores = {"wide": columns(1, 5, 6, rows=10), "narrow": columns(2, 3, 7, rows=1), "out": columns(0, 0)}
    masks = prune("units", scores, {"wide": 0.5, "narrow": 0.5, "out": 0.0}, "global")
    assert masks["wide"][0].tolist() == [False, True, True]
    assert masks["narrow"][0].tolist() == [False, False, True]
    assert masks["out"].all()


def test_units_of_equal_means_in_two_layers_go_in_the_order_of_layers():
    masks = prune("units", {"a": columns(1, 1), "b": columns(1, 1)}, {"a": 0.25, "b": 0.25}, "global")
    assert masks["a"][0].tolist() == [False, True]
    assert masks["b"].all()


def test_depthwise_units_are_channels_times_multiplier():
    scores = {"a": np.tile(np.array([[4.0, 3], [2, 1]]), (3, 3, 1, 1))}
    masks = prune("units", scores, {"a": 0.5}, axes={"a": 2})
    assert (masks["a"] == np.array([[True, True], [False, False]])).all()


def test_blocks_go_by_their_mean_also_the_smaller_ones_at_the_edges():
    scores = {"a": np.array([[1.0, 1, 9], [1, 1, 0], [2, 3, 2.4]])}
    masks = prune("block:2x2", scores, {"a": 0.5})
    # blocks: mean 1 of four, 4.5 of two, 2.5 of two, 2.4 of one
    assert masks["a"].tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    scores["b"] = np.array([[0.5, 0.5, 9]])
    masks = prune("block:2x2", scores, {"a": 1 / 3, "b": 1 / 3}, "global")  # two of six blocks
    assert masks["a"].tolist() == [[False, False, True], [False, False, True], [True, True, True]]
    assert masks["b"].tolist() == [[False, False, True]]


def test_a_layer_of_one_block_is_not_emptied():
    scores = {"a": columns(1, 2, 3, 4), "b": columns(0, 0)}
    rates = dict.fromkeys(scores, 0.4)
    with pytest.raises(LotteryError, match="This pruning empties b"):
        prune("block:2x2", scores, rates, "global")
    masks = prune("block:2x2", scores, rates, "global", min_density=0.5)
    assert masks["a"].tolist() == [[False, False, True, True]] * 2
    assert masks["b"].all()


def test_masks_only_shrink_and_the_next_round_counts_what_remains():
    scores = {"a": RANDOM.random((7, 10)), "c": RANDOM.random((3, 3, 4, 10))}
    rates, masks = {"a": 0.3, "c": 0.3}, None
    for left in (7, 5, 3):  # 10 - round(3.0), 7 - round(2.1), 5 - round(1.5): Python rounds it to 2
        after = prune("units", {p: RANDOM.random(s.shape) for p, s in scores.items()}, rates, masks=masks)
        for path, mask in after.items():
            by_unit = mask.reshape(-1, 10)
            assert (by_unit == by_unit[0]).all()
            assert by_unit[0].sum() == left
            assert masks is None or not (mask & ~masks[path]).any()
        masks = after


def test_too_little_left_to_compete_is_said_in_units():
    with pytest.raises(LotteryError, match="at most 1 units to prune, since 75.0% .* Received: 2 in a"):
        prune("units", {"a": columns(1, 2, 3, 4)}, {"a": 0.5}, min_density=0.75)


def test_pruned_weights_count_as_zero_in_a_units_score_and_may_be_nan():
    mask = {"a": np.array([[True, True], [False, True]])}
    masks = prune("units", {"a": np.array([[3.0, 2], [np.nan, 2]])}, {"a": 0.5}, masks=mask)
    assert masks["a"].tolist() == [[False, True], [False, True]]
    with pytest.raises(LotteryError, match="Expected finite scores"):
        prune("units", {"a": np.array([[3.0, 2], [np.nan, 2]])}, {"a": 0.5})


def test_units_that_are_drawn_are_as_likely_in_large_layers_as_in_small_ones():
    """Means of many draws would all lie in the middle, and the small layer's extremes be pruned and kept."""
    gone = {"large": 0, "small": 0}
    for seed in range(60):
        generator = np.random.default_rng(seed)
        scores = {"large": generator.random((500, 40)), "small": generator.random((1, 40))}
        masks = prune("units", scores, {"large": 0.25, "small": 0.25}, "global", criterion="random")
        for path in gone:
            gone[path] += 40 - int(masks[path][0].sum())
    assert sum(gone.values()) == 60 * 20
    assert 450 < gone["large"] < 750  # 600 are expected, with a deviation of 15


@pytest.mark.parametrize(("text", "shape"), [("2:4", (16, 3)), ("1:4", (2, 2, 6, 3)), ("3:5", (11, 2))])
def test_the_n_highest_of_each_m_stay(text, shape):
    n, m = pattern(text).sizes
    scores = {"a": RANDOM.normal(size=shape)}
    mask = prune(text, scores, {"a": 1 - n / m})["a"].reshape(-1, *shape[-2:])
    flat = scores["a"].reshape(mask.shape)
    for position in range(len(flat)):
        for output in range(shape[-1]):
            for start in range(0, shape[-2], m):
                group = flat[position, start : start + m, output]
                best = np.zeros(len(group), bool)
                best[np.argsort(group)[-n:]] = True
                assert (mask[position, start : start + m, output] == best).all()


def test_n_of_m_counts_ties_by_index_spares_whole_layers_and_is_done_once():
    scores = {"a": np.ones((6, 1)), "b": np.ones((4, 1))}
    masks = prune("2:4", scores, {"a": 0.5, "b": 0.0}, axes={"a": 1})
    assert masks["a"].ravel().tolist() == [False, False, True, True, True, True]
    assert masks["b"].all()
    again = prune("2:4", scores, {"a": 0.5, "b": 0.0}, axes={"a": 1}, masks=masks)
    assert (again["a"] == masks["a"]).all()
    grouped = groups("2:4", {"a": (6, 1)}, {"a": 0.5}, {"a": 1})
    assert grouped.kept(ones({"a": (6, 1)}), "layer") == {("a",): 4}
    with pytest.raises(LotteryError, match="finite"):
        prune("2:4", {"a": np.full((4, 1), np.inf)}, {"a": 0.5})


def test_the_fewest_weights_that_can_remain_of_groups_of_unequal_size():
    shapes, rates = {"a": (3, 5), "b": (4, 2), "out": (2, 2)}, {"a": 0.5, "b": 0.5, "out": 0.0}
    grouped = groups("block:2x2", shapes, rates, {"a": 1, "b": 1})
    assert grouped.full() == {"a": 6, "b": 2, "out": 4}
    assert sorted(grouped.sizes["a"]) == [1, 2, 2, 2, 4, 4]
    assert grouped.fewest({("a", "b"): 4}) == 1 + 2 + 2 + 2 + 4  # and the output, whole
    assert groups("single", shapes, rates, {}).fewest({("a", "b"): 9}) == 9 + 4


@pytest.mark.parametrize("text", ["units", "block:2x3"])
def test_groups_are_shuffled_whole_within_their_layer(text):
    shapes, rates = {"a": (9, 10), "out": (10, 2)}, {"a": 0.4, "out": 0.0}
    scores = {path: RANDOM.random(shape) for path, shape in shapes.items()}
    grouped = groups(text, shapes, rates, {"a": 1})
    masks = grouped.prune(scores, ones(shapes), grouped.kept(ones(shapes), "layer"))
    found = [grouped.shuffled(masks, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert (found[0]["a"] == found[1]["a"]).all()
    assert (found[0]["a"] != found[2]["a"]).any()
    for each in found:
        assert each["out"].all()
        assert each["a"].sum() == masks["a"].sum()
        assert grouped.remaining(each) == grouped.remaining(masks)
        numbers = grouped._numbers["a"]
        assert all(len(set(each["a"][numbers == number])) == 1 for number in range(numbers.max() + 1))
    with pytest.raises(LotteryError, match="2:4 can't be shuffled"):
        groups("2:4", shapes, {"a": 0.5, "out": 0}, {"a": 1}).shuffled(masks, np.random.default_rng(0))


def test_scopes_that_distribute_single_weights_are_refused():
    for scope in ("erk", "smart_ratio"):
        with pytest.raises(LotteryError, match="Expected scope of layer, global, .* Received: "):
            check_grouped_scope(scope)
        with pytest.raises(LotteryError, match="distribute single weights"):
            prune("units", {"a": columns(1, 2)}, {"a": 0.5}, scope)


def test_what_contradicts_the_density_that_n_of_m_fixes_is_refused():
    check_fixed(pattern("1:3"), 0.6667, [0, 0.667], "layer", 0.0, "")
    check_fixed(pattern("units"), 0.2, [0.1], "global", 0.1, "")
    for wrong in [(0.2, []), (0.5, [0.1])]:
        with pytest.raises(LotteryError, match="Expected pruning.rate 0.5 with pattern 2:4, which fixes"):
            check_fixed(pattern("2:4"), *wrong, "layer", 0.0, "pruning.")
    for scope, least in (("global", 0.0), ("layer", 0.1)):
        with pytest.raises(LotteryError, match="Expected scope 'layer' and min_density 0 with pattern 2:4"):
            check_fixed(pattern("2:4"), 0.5, [], scope, least, "")
