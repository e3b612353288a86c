import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.criteria import (
    CRITERIA,
    DRAWING,
    FROM_INITIAL,
    ITERATED,
    PROBING,
    Evidence,
    of_weights,
)
from tf_lottery.pruning.select import select

WEIGHTS = {"a/kernel": np.array([[-0.5, 0.1], [0.0, -2.0]], np.float32), "b/kernel": np.array([3.0, -0.2])}
INITIAL = {"a/kernel": np.array([[0.25, -0.5], [1.0, -1.0]], np.float32), "b/kernel": np.array([2.0, 1.0])}


class Measured:
    """A probe that returns what it was given, and remembers what it was asked."""

    def __init__(self, values):
        self.values, self.asked = values, []

    def gradients(self, masks):
        self.asked.append(("gradients", masks))
        return self.values

    def hessian_gradient(self, masks, temperature=1.0):
        self.asked.append(("hessian_gradient", masks, temperature))
        return self.values

    def synflow(self, masks):
        self.asked.append(("synflow", masks))
        return self.values


VALUES = {"a/kernel": np.array([[2.0, -4.0], [8.0, 1.0]], np.float32), "b/kernel": np.array([-1.0, 0.5])}


def evidence(**given):
    return Evidence(**{"weights": WEIGHTS, "initial": INITIAL, "probe": Measured(VALUES)} | given)


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[path], second[path]) for path in first)


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_gives_finite_scores_of_the_kernels_shapes_and_leaves_weights_alone(name):
    before = {path: weights.copy() for path, weights in WEIGHTS.items()}
    scores = CRITERIA[name](evidence(seed=1))
    assert {path: score.shape for path, score in scores.items()} == {"a/kernel": (2, 2), "b/kernel": (2,)}
    assert all(np.isfinite(score).all() for score in scores.values())
    assert equal(WEIGHTS, before)


def test_magnitude_is_the_absolute_value():
    scores = CRITERIA["magnitude"](Evidence(WEIGHTS))
    assert scores["a/kernel"].tolist() == np.float32([[0.5, 0.1], [0.0, 2.0]]).tolist()
    assert scores["b/kernel"].tolist() == [3.0, 0.2]


def test_negative_weights_are_not_pruned_for_being_negative():
    """Rivals compare signed weights with a threshold: all negative ones go."""
    weights = {"kernel": np.array([-5.0, 0.1, -4.0, 0.2, -3.0, 0.3])}
    scores = CRITERIA["magnitude"](Evidence(weights))
    pruned = select(scores, {"kernel": np.ones(6, bool)}, {"kernel": 0.5})
    assert pruned["kernel"].tolist() == [True, False, True, False, True, False]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("large_init", [[0.25, 0.5], [1.0, 1.0]], [2.0, 1.0]),
        ("small_init", [[-0.25, -0.5], [-1.0, -1.0]], [-2.0, -1.0]),
        ("small_final", np.float32([[-0.5, -0.1], [0.0, -2.0]]), [-3.0, -0.2]),
        ("magnitude_increase", np.float32([[0.25, -0.4], [-1.0, 1.0]]), [1.0, -0.8]),
        ("movement", np.float32([[0.75, 0.6], [1.0, 1.0]]), [1.0, 1.2]),
        ("snip", np.float32([[1.0, 0.4], [0.0, 2.0]]), [3.0, 0.1]),
        ("grasp", np.float32([[-1.0, -0.4], [0.0, -2.0]]), [-3.0, -0.1]),
    ],
)
def test_scores_are_those_of_the_papers(name, first, second):
    scores = CRITERIA[name](evidence())
    assert scores["a/kernel"].tolist() == np.asarray(first).tolist()
    assert scores["b/kernel"].tolist() == second


def test_synflow_is_in_float64_where_float32_would_overflow():
    flows = {path: np.full(weights.shape, 1e300) for path, weights in WEIGHTS.items()}
    scores = CRITERIA["synflow"](evidence(probe=Measured(flows)))
    assert scores["b/kernel"].tolist() == [3.0 * 1e300, 0.2 * 1e300]
    assert scores["a/kernel"].dtype == np.float64
    assert scores["a/kernel"][0, 1] == float(np.float32(0.1)) * 1e300


def test_the_two_sided_criteria_score_the_lower_percentile():
    """Zhou et al. search one percentile for both magnitudes, and keep what is above it in both."""
    initial = {"kernel": np.array([1.0, -2.0, 3.0, -4.0])}
    weights = {"kernel": np.array([40.0, 30.0, -20.0, 50.0])}
    both = evidence(weights=weights, initial=initial)
    # Percentiles at step 0 are 0, 1/4, 2/4, 3/4 in order; after training 2/4, 1/4, 0, 3/4.
    assert CRITERIA["large_init_large_final"](both)["kernel"].tolist() == [0.0, 0.25, 0.0, 0.75]
    # Of the negated: 3/4, 2/4, 1/4, 0 and 1/4, 2/4, 3/4, 0.
    assert CRITERIA["small_init_small_final"](both)["kernel"].tolist() == [0.25, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("sign", [1, -1])
def test_two_sided_masks_are_those_of_the_search_in_the_authors_code(sign):
    name = "large_init_large_final" if sign > 0 else "small_init_small_final"
    generator = np.random.default_rng(3)
    initial, final = generator.normal(size=(2, 1000))
    final = 0.5 * final + 3 * initial
    kept = select(
        CRITERIA[name](evidence(weights={"kernel": final}, initial={"kernel": initial})),
        {"kernel": np.ones(1000, bool)},
        {"kernel": 0.8},
    )["kernel"]
    assert kept.sum() == 200
    sides = [sign * np.abs(initial), sign * np.abs(final)]
    low, high, above = 0.0, 80.0, np.ones(1000, bool)
    while above.sum() != 200:  # their search for the percentile that leaves as many weights as wanted
        percentile = (low + high) / 2
        above = np.all([side >= np.percentile(side, percentile) for side in sides], axis=0)
        low, high = (percentile, high) if above.sum() > 200 else (low, percentile)
    assert (above == kept).all()


def test_percentiles_are_taken_among_the_remaining_weights_of_a_layer():
    initial, weights = {"kernel": np.array([1.0, 2.0, 3.0, 4.0])}, {"kernel": np.array([9.0, 8.0, 0.0, 0.0])}
    masks = {"kernel": np.array([True, True, False, False])}
    scores = CRITERIA["large_init_large_final"](evidence(weights=weights, initial=initial, masks=masks))
    assert scores["kernel"][:2].tolist() == [0.0, 0.0]
    assert np.isfinite(scores["kernel"]).all()
    nothing = {"kernel": np.zeros(4, bool)}
    empty = CRITERIA["large_init_large_final"](evidence(weights=weights, initial=initial, masks=nothing))
    assert np.isfinite(empty["kernel"]).all()


def test_a_weight_whose_removal_reduces_the_gradient_most_is_kept_by_grasp():
    """The squared norm of the gradient changes by -2 w Hg to first order when w is removed."""
    hessian, weights = np.diag([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    gradient = hessian @ weights
    probe = Measured({"kernel": hessian @ gradient})
    scores = CRITERIA["grasp"](evidence(weights={"kernel": weights}, probe=probe))["kernel"]
    without = [hessian @ np.where(np.arange(3) == removed, 0, weights) for removed in range(3)]
    losses = [gradient @ gradient - left @ left for left in without]
    assert np.argsort(scores).tolist() == np.argsort(losses).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "asked"), [("snip", "gradients"), ("grasp", "hessian_gradient"), ("synflow", "synflow")]
)
def test_a_probe_is_asked_once_with_the_present_masks(name, asked):
    masks, probe = {"a/kernel": np.array([[True, False], [True, True]])}, Measured(VALUES)
    CRITERIA[name](evidence(masks=masks, probe=probe))
    assert probe.asked == [(asked, masks, *([200.0] if name == "grasp" else []))]


@pytest.mark.parametrize("name", CRITERIA)
def test_what_a_criterion_lacks_is_refused_in_one_line(name):
    for needing, given in ((FROM_INITIAL, {"initial": {}}), (PROBING, {"probe": None})):
        if name in needing:
            with pytest.raises(LotteryError, match="Choose one of magnitude, random, small_final") as caught:
                CRITERIA[name](evidence(**given))
            assert "\n" not in str(caught.value)
        else:
            CRITERIA[name](evidence(**given))


def test_the_sets_name_criteria():
    assert CRITERIA.keys() >= DRAWING | FROM_INITIAL | PROBING | ITERATED.keys()
    assert of_weights() == ["magnitude", "random", "small_final"]


def test_random_scores_are_repeated_by_their_seed_only():
    draw = CRITERIA["random"]
    assert equal(draw(Evidence(WEIGHTS, seed=1)), draw(Evidence(WEIGHTS, seed=1)))
    assert not equal(draw(Evidence(WEIGHTS, seed=1)), draw(Evidence(WEIGHTS, seed=2)))


def test_random_scores_do_not_look_at_the_weights():
    zeros = {path: np.zeros_like(weights) for path, weights in WEIGHTS.items()}
    draw = CRITERIA["random"]
    assert equal(draw(Evidence(WEIGHTS, seed=1)), draw(Evidence(zeros, seed=1)))


def test_random_scores_of_layers_are_not_the_same_draw():
    same_shape = {"a/kernel": np.zeros(8), "b/kernel": np.zeros(8)}
    scores = CRITERIA["random"](Evidence(same_shape, seed=1))
    assert not np.array_equal(scores["a/kernel"], scores["b/kernel"])


@pytest.mark.parametrize("name", CRITERIA)
def test_only_criteria_that_draw_depend_on_the_seed(name):
    """One that draws and isn't named in `DRAWING` would get the same seed in every round and replicate."""
    first, second = (CRITERIA[name](evidence(seed=seed)) for seed in (1, 2))
    assert equal(first, second) == (name not in DRAWING)
