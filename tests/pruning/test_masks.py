import numpy as np
import pytest

from tf_lottery.pruning import masks

FULL = masks.ones({"a/kernel": (2, 3), "b/kernel": (4,)})
SPARSE = {"a/kernel": np.array([[True, False, True], [False, False, True]]), "b/kernel": np.zeros(4, bool)}


def test_ones_keep_everything():
    assert {path: (mask.shape, mask.dtype, mask.all()) for path, mask in FULL.items()} == {
        "a/kernel": ((2, 3), bool, True),
        "b/kernel": ((4,), bool, True),
    }
    assert masks.density(FULL) == 1


def test_remaining_and_size_count_over_all_layers():
    assert (masks.remaining(SPARSE), masks.size(SPARSE)) == (3, 10)
    assert masks.density(SPARSE) == 0.3


def test_the_density_of_no_prunable_weights_is_one():
    assert masks.density({}) == 1


@pytest.mark.parametrize(("first", "second"), [(FULL, SPARSE), (SPARSE, FULL)])
def test_distance_is_the_fraction_of_positions_that_differ(first, second):
    assert masks.distance(first, second) == 0.7
    assert masks.distance(first, first) == 0


def test_shrinks_tells_a_subset_from_a_weight_that_came_back():
    assert masks.shrinks(FULL, SPARSE)
    assert masks.shrinks(SPARSE, SPARSE)
    assert not masks.shrinks(SPARSE, FULL)


def test_other_layers_are_no_shrinking():
    assert not masks.shrinks(FULL, {"a/kernel": FULL["a/kernel"]})


def test_zeroed_leaves_arrays_without_a_mask_alone_and_refuses_masks_without_an_array():
    arrays = {"a/kernel": np.full((2, 3), -1.0, np.float32), "a/bias": np.full(3, -1.0, np.float32)}
    found = masks.zeroed(arrays, {"a/kernel": SPARSE["a/kernel"]})
    assert (found["a/kernel"] == np.where(SPARSE["a/kernel"], -1.0, 0.0)).all()
    assert not np.signbit(found["a/kernel"][~SPARSE["a/kernel"]]).any()
    assert found["a/bias"] is arrays["a/bias"]
    with pytest.raises(KeyError, match="b/kernel"):
        masks.zeroed(arrays, SPARSE)
