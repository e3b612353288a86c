import numpy as np
import pytest

from tf_lottery.pruning.criteria import CRITERIA, DRAWING, Evidence
from tf_lottery.pruning.select import select

WEIGHTS = {"a/kernel": np.array([[-0.5, 0.1], [0.0, -2.0]], np.float32), "b/kernel": np.array([3.0, -0.2])}


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[path], second[path]) for path in first)


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_gives_finite_scores_of_the_kernels_shapes_and_leaves_weights_alone(name):
    before = {path: weights.copy() for path, weights in WEIGHTS.items()}
    scores = CRITERIA[name](Evidence(WEIGHTS, seed=1))
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
    first, second = (CRITERIA[name](Evidence(WEIGHTS, seed=seed)) for seed in (1, 2))
    assert equal(first, second) == (name not in DRAWING)
