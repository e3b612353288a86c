import math

import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.schedules import densities, keep_next, layer_rates
from tf_lottery.pruning.select import select

LENET = {"fc1/kernel": (784, 300), "fc2/kernel": (300, 100), "output/kernel": (100, 10)}
CONV_2 = {
    "conv1/kernel": (3, 3, 3, 64),
    "conv2/kernel": (3, 3, 64, 64),
    "fc1/kernel": (16384, 256),
    "fc2/kernel": (256, 256),
    "output/kernel": (256, 10),
}
CONV_4 = CONV_2 | {
    "conv3/kernel": (3, 3, 64, 128),
    "conv4/kernel": (3, 3, 128, 128),
    "fc1/kernel": (8192, 256),
}
# The labels of the paper's figures, by our round.
LENET_LABELS = {3: 51.3, 4: 41.1, 6: 26.3, 7: 21.1, 9: 13.5, 12: 7.0, 15: 3.6, 18: 1.9, 20: 1.2}
CONV_2_LABELS = {3: 51.4, 6: 26.5, 11: 8.8, 14: 4.6}
CONV_4_LABELS = {3: 53.5, 11: 11.1, 12: 9.2}


def rates_of(shapes):
    halved = {"output": 0.1} if shapes is LENET else {"output": 0.1, "conv*": 0.1}
    return layer_rates(list(shapes), 0.2, halved)


def sizes(shapes):
    return {path: math.prod(shape) for path, shape in shapes.items()}


def percentages(values, labels):
    return {round_: round(100 * values[round_], 1) for round_ in labels}


networks = pytest.mark.parametrize(
    ("shapes", "labels"),
    [(LENET, LENET_LABELS), (CONV_2, CONV_2_LABELS), (CONV_4, CONV_4_LABELS)],
    ids=["LeNet-300-100", "Conv-2", "Conv-4"],
)


@networks
def test_densities_are_the_labels_of_the_paper(shapes, labels):
    assert percentages(densities(sizes(shapes), rates_of(shapes), rounds=20), labels) == labels


@networks
def test_real_pruning_reaches_the_labels_of_the_paper_and_agrees_with_densities(shapes, labels):
    random = np.random.default_rng(0)
    # 16 bits: ties everywhere, and quickly sorted.
    scores = {path: random.integers(2**16, size=shape, dtype=np.uint16) for path, shape in shapes.items()}
    masks, reached = masks_.ones(shapes), [1.0]
    for _ in range(max(labels)):
        masks = select(scores, masks, rates_of(shapes))
        reached.append(masks_.density(masks))
    assert percentages(reached, labels) == labels
    assert reached == densities(sizes(shapes), rates_of(shapes), rounds=max(labels))


def test_round_zero_is_dense_and_a_rate_of_zero_keeps_a_layer():
    assert densities({"a": 10, "b": 10}, {"a": 0.2, "b": 0.0}, rounds=2) == [1.0, 0.9, 0.8]


@pytest.mark.parametrize(
    ("remaining", "rate", "kept"),
    [
        (10, 0.2, 8),
        (10, 0.0, 10),
        (10, 1.0, 0),
        (0, 0.2, 0),
        (5, 0.5, 3),  # 2.5 go: 2
        (7, 0.5, 3),  # 3.5 go: 4
        (1, 0.5, 1),  # 0.5 go: 0
        (2, 0.2, 2),  # too few for the rate to take any
        (3, 0.2, 2),
    ],
)
def test_the_number_that_goes_is_rounded_a_half_to_even(remaining, rate, kept):
    assert keep_next(remaining, rate) == kept


PATHS = ["block/conv1/kernel", "block/conv10/kernel", "dense/kernel", "output/kernel"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({}, [0.2, 0.2, 0.2, 0.2]),
        ({"output": 0.1}, [0.2, 0.2, 0.2, 0.1]),
        ({"conv1": 0.3}, [0.3, 0.2, 0.2, 0.2]),
        ({"block/conv1": 0.3}, [0.3, 0.2, 0.2, 0.2]),
        ({"conv*": 0.3}, [0.3, 0.3, 0.2, 0.2]),
        ({"conv1?": 0.3}, [0.2, 0.3, 0.2, 0.2]),
        ({"block/*": 0.3}, [0.3, 0.3, 0.2, 0.2]),
        ({"conv10": 0.4, "conv*": 0.3}, [0.3, 0.4, 0.2, 0.2]),
        ({"output": 0.0}, [0.2, 0.2, 0.2, 0.0]),
    ],
    ids=str,
)
def test_rates_go_by_the_first_pattern_that_matches_the_layer(patterns, expected):
    assert layer_rates(PATHS, 0.2, patterns) == dict(zip(PATHS, expected, strict=True))


@pytest.mark.parametrize("pattern", ["ouput", "Output", "kernel", "output/kernel", "conv"])
def test_a_pattern_that_matches_no_layer_is_refused(pattern):
    with pytest.raises(LotteryError, match=f"block/conv1.*'{pattern}'"):
        layer_rates(PATHS, 0.2, {"dense": 0.1, pattern: 0.1})


def test_a_pattern_hidden_behind_an_earlier_one_is_refused():
    with pytest.raises(LotteryError, match="'conv10'"):
        layer_rates(PATHS, 0.2, {"conv*": 0.3, "conv10": 0.4})


@pytest.mark.parametrize("named", ["out[class]", "head/out[class]"])
def test_a_layer_s_own_name_is_no_pattern(named):
    paths = ["head/out[class]/kernel", "outc/kernel", "what?/kernel"]
    assert layer_rates(paths, 0.2, {named: 0.1, "what?": 0}) == dict(zip(paths, (0.1, 0.2, 0), strict=True))
    assert layer_rates(paths[1:], 0.2, {"out[class]": 0.1})["outc/kernel"] == 0.1  # no such name: a pattern
