"""Which weights scores choose: counts exact, ties by index, as where weights are pruned."""

import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.layers.supermasks import SUPERMASKS, glorot_uniform, kaiming_uniform, largest
from tf_lottery.method.recipe import Supermask
from tf_lottery.pruning.select import keep


def chosen(values, count, jit=True):
    return tf.function(lambda v: largest(v, count), jit_compile=jit)(tf.constant(values)).numpy()


def expected(values, count):
    """The last `count` of a stable sorting."""
    found = np.zeros(len(values), bool)
    found[np.argsort(values, kind="stable")[len(values) - count :]] = True
    return found


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_are_found_exactly_and_the_last_among_equals(dtype, jit):
    values = np.random.default_rng(3).integers(0, 4, 37).astype(dtype) / 8  # many are equal, some are 0
    for count in (0, 1, 12, 36, 37):
        np.testing.assert_array_equal(chosen(values, count, jit), expected(values, count))


def test_the_largest_of_numbers_of_every_size():
    values = np.array([1e-45, 0.0, 3e38, 1e-38, 1.0, np.nextafter(np.float32(1), np.float32(2))], np.float32)
    for count in range(7):
        np.testing.assert_array_equal(chosen(values, count), expected(values, count))


@pytest.mark.parametrize("groups", [{("a",): 5, ("b",): 3}, {("a", "b"): 8}, {("b",): 2}], ids=str)
def test_edge_popup_keeps_as_many_as_the_recipe_leaves_as_a_pruning_would(groups):
    generator = np.random.default_rng(1)
    scores = {
        path: generator.integers(-3, 4, shape).astype("float32")
        for path, shape in {"a": (4, 3), "b": (2, 5)}.items()
    }
    tensors = {path: tf.constant(value) for path, value in scores.items()}
    masks = SUPERMASKS["edge_popup"].hard(tensors, Supermask(kind="edge_popup", seed=0), groups)
    ones = {path: np.ones(value.shape, bool) for path, value in scores.items()}
    pruned = keep({path: np.abs(value) for path, value in scores.items()}, ones, groups)
    for path, mask in masks.items():
        np.testing.assert_array_equal(mask.numpy(), pruned[path])


def test_a_learned_mask_keeps_what_is_likelier_used_than_not_and_draws_in_training():
    kind, scores = SUPERMASKS["learned"], tf.constant([-0.1, 0.0, 1e-30, 2.0])
    hard = kind.hard({"a": scores}, Supermask(kind="learned", seed=0), {})["a"]
    np.testing.assert_array_equal(hard, [0, 0, 1, 1])
    even = tf.zeros(4)
    np.testing.assert_array_equal(kind.drawn(even, tf.constant([0.0, 0.49, 0.5, 0.99])), [1, 1, 0, 0])
    assert not kind.first((3, 2), np.random.default_rng(0)).any(), "each is used in half of the steps"


def test_a_signed_mask_keeps_prunes_and_inverts_by_its_threshold():
    scores = tf.constant([0.6, 0.5, 0.1, -0.5, -0.6])
    settings = Supermask(kind="signed", seed=0, threshold=0.5)
    hard = SUPERMASKS["signed"].hard({"a": scores}, settings, {})["a"]
    np.testing.assert_array_equal(hard, [1, 0, 0, 0, -1])


def test_first_scores_are_drawn_between_their_bounds():
    for draw, shape, bound in (
        (kaiming_uniform, (25, 40), 0.2),
        (kaiming_uniform, (5, 5, 4, 40), 0.1),
        (glorot_uniform, (30, 24), 1 / 3),
        (glorot_uniform, (3, 3, 4, 2), 1 / 3),
    ):
        scores = draw(shape, np.random.default_rng(0))
        assert scores.shape == shape
        assert 0.9 * bound < np.abs(scores).max() <= bound
        assert abs(scores.mean()) < 0.2 * bound
