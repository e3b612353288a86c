"""N:M and blocks are those of tensorflow-model-optimization, where no scores are equal."""

import numpy as np
import pytest

from tests.pruning.test_groups import prune
from tf_lottery.tfmot import load_tfmot


@pytest.fixture(scope="module")
def utilities():
    load_tfmot()
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_utils

    return pruning_utils


def weights(shape):
    values = np.random.default_rng(7).permutation(np.prod(shape)) + 1.0
    return (values * np.where(values % 3 == 0, -1, 1)).reshape(shape).astype("float32")


@pytest.mark.parametrize(
    ("text", "zeros"), [("2:4", (2, 4)), ("1:4", (3, 4)), ("3:5", (2, 5)), ("1:2", (1, 2))]
)
@pytest.mark.parametrize(
    "shape", [(16, 6), (20, 3), (13, 5), (3, 4), (3, 3, 8, 4), (3, 2, 3, 5), (1, 1, 6, 2)]
)
def test_n_of_m_keeps_what_tfmot_keeps_also_where_m_does_not_divide_the_inputs(text, zeros, shape, utilities):
    """tfmot names the zeros, and pads the inputs with zeros."""
    import tensorflow as tf

    kernel = weights(shape)
    theirs = utilities.m_by_n_sparsity_mask_prepare(
        utilities.generate_m_by_n_mask(utilities.weights_rearrange(tf.constant(kernel)), zeros),
        tf.constant(kernel).shape,
    )
    n, m = (int(number) for number in text.split(":"))
    ours = prune(text, {"a": np.abs(kernel)}, {"a": 1 - n / m})["a"]
    np.testing.assert_array_equal(ours, theirs.numpy() == 1)
    assert utilities.is_pruned_m_by_n(tf.constant(kernel * ours), zeros)


@pytest.mark.parametrize(("rows", "across"), [(4, 4), (2, 8), (8, 1)])
def test_blocks_are_pooled_as_tfmot_pools_them(rows, across, utilities):
    """Where blocks divide the kernel. (Elsewhere tfmot's pools begin before it, and its masks don't.)"""
    import tensorflow as tf

    kernel = weights((16, 24))
    pooled = utilities.factorized_pool(
        tf.constant(np.abs(kernel)), (rows, across), "AVG", (rows, across), "SAME"
    )
    rate = 0.5
    lowest = np.argsort(pooled.numpy().ravel())[: round(rate * pooled.shape.num_elements())]
    kept = np.ones(pooled.shape.num_elements(), "float32")
    kept[lowest] = 0
    theirs = utilities.expand_tensor(tf.constant(kept.reshape(pooled.shape)), (rows, across))
    ours = prune(f"block:{rows}x{across}", {"a": np.abs(kernel)}, {"a": rate})["a"]
    np.testing.assert_array_equal(ours, theirs.numpy() == 1)
