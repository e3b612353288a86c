import numpy as np
import pytest

from tf_lottery.pruning.updates import GROWING, LOOKING, UPDATES, Present, cosine, cubic
from tf_lottery.tfmot import load_tfmot

WEIGHTS = np.array([[0.5, 0.0, -0.1, 0.0], [0.0, 0.3, 0.2, 0.0], [-0.4, 0.0, 0.0, 0.6]])
GRADIENTS = np.array([[9.0, -5.0, 8.0, 1.0], [2.0, 9.0, 0.1, -6.0], [9.0, 3.0, -4.0, 9.0]])


def present(**changes):
    """Six of twelve weights remain: 0.5, -0.1, 0.3, 0.2, -0.4, 0.6."""
    settings = {
        "weights": {"a": WEIGHTS},
        "masks": {"a": WEIGHTS != 0},
        "progress": 0.0,
        "fraction": 0.5,
        "gradients": lambda: {"a": GRADIENTS},
    }
    return Present(**settings | changes)


def test_rigl_grows_the_largest_gradients():
    # floor(0.5 x 6) = 3 go: 0.1, 0.2 and 0.3. The largest of what is then absent: 9 (where 0.3 was), 8 (where
    # -0.1 was) and 6.
    expected = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1]], bool)
    np.testing.assert_array_equal(UPDATES["rigl"](present())["a"], expected)


def test_rigl_grows_where_no_weight_was():
    gradients = np.where(WEIGHTS != 0, 0, GRADIENTS)
    # 6, 5 and 4 are the largest of those that were absent; what was dropped has gradients of 0.
    expected = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 1]], bool)
    masks = UPDATES["rigl"](present(gradients=lambda: {"a": gradients}))
    np.testing.assert_array_equal(masks["a"], expected)


def test_equal_values_are_dropped_and_grown_by_index():
    weights = np.array([1.0, 1, 1, 1, 0, 0, 0, 0])
    masks = {"a": weights != 0}
    found = UPDATES["rigl"](
        present(weights={"a": weights}, masks=masks, gradients=lambda: {"a": np.array([0.0] * 4 + [2] * 4)})
    )
    np.testing.assert_array_equal(found["a"], np.array([0, 0, 1, 1, 1, 1, 0, 0], bool))


def test_set_keeps_the_largest_and_the_count():
    weights = np.random.default_rng(0).normal(size=(30, 20))
    masks = {"a": np.random.default_rng(1).random((30, 20)) < 0.3}
    weights = np.where(masks["a"], weights, 0)
    found = UPDATES["set"](present(weights={"a": weights}, masks=masks, fraction=0.3, seed=3))["a"]
    count = masks["a"].sum()
    gone = int(0.3 * count)
    largest = np.sort(np.abs(weights[masks["a"]]))[gone:]
    assert found.sum() == count
    assert found[np.abs(weights) >= largest[0]].all(), "the largest stay"
    assert 0 < (found & ~masks["a"]).sum() <= gone
    again, other = (
        UPDATES["set"](present(weights={"a": weights}, masks=masks, fraction=0.3, seed=seed))["a"]
        for seed in (3, 4)
    )
    np.testing.assert_array_equal(again, found)
    assert (other != found).any()


@pytest.mark.parametrize("kind", sorted(GROWING))
def test_a_dense_layer_stays_dense_and_the_last_share_is_zero(kind):
    weights, masks = {"a": WEIGHTS, "b": np.ones(3)}, {"a": WEIGHTS != 0, "b": np.ones(3, bool)}
    gradients = {"a": GRADIENTS, "b": np.ones(3)}
    found = UPDATES[kind](present(weights=weights, masks=masks, gradients=lambda: gradients))
    assert found["b"].all()
    last = UPDATES[kind](
        present(weights=weights, masks=masks, gradients=lambda: gradients, progress=1.0, fraction=0.9)
    )
    np.testing.assert_array_equal(last["a"], masks["a"])


def test_only_rigl_asks_for_gradients():
    assert {"rigl"} == LOOKING
    for kind in UPDATES.keys() - LOOKING:
        UPDATES[kind](present(gradients=None, final={("a",): 3}))


@pytest.mark.parametrize(("progress", "left"), [(0.0, 12), (0.2, 12 - round(9 * 0.488)), (0.5, 4), (1.0, 3)])
def test_gradual_counts(progress, left):
    weights = np.arange(1.0, 13).reshape(3, 4)
    masks = UPDATES["gradual"](
        present(
            weights={"a": weights}, masks={"a": np.ones((3, 4), bool)}, progress=progress, final={("a",): 3}
        )
    )
    assert masks["a"].sum() == left
    assert masks["a"].ravel()[-left:].all(), "the smallest go first"


def test_gradual_with_scores_that_compete_over_layers():
    weights = {"a": np.arange(1.0, 9), "b": np.arange(5.0, 13)}
    masks = UPDATES["gradual"](
        present(
            weights=weights,
            masks={path: np.ones(8, bool) for path in weights},
            progress=1.0,
            final={("a", "b"): 6},
        )
    )
    assert (masks["a"].sum(), masks["b"].sum()) == (1, 5), "12, 11, 10, 9, 8 and the 8 of the higher index"


def test_the_cubic_schedule_is_that_of_tfmot():
    decay = load_tfmot().sparsity.keras.PolynomialDecay(0.0, 0.9, 100, 900, frequency=50)
    for step in range(100, 901, 50):
        due, sparsity = decay(step)
        assert bool(due)
        assert 0.9 * cubic((step - 100) / 800) == pytest.approx(float(sparsity), abs=1e-6)


def test_the_cosine():
    assert [cosine(progress) for progress in (0, 0.5, 1, 2)] == pytest.approx([1, 0.5, 0, 0])
    assert cosine(0.25) == pytest.approx((1 + np.sqrt(0.5)) / 2)
