import numpy as np
import pytest

from tf_lottery.data.order import BatchOrder

EXAMPLES, BATCH, PER_EPOCH = 47, 5, 9


def order(seed=1):
    return BatchOrder(seed, EXAMPLES, BATCH)


def test_any_stretch_of_steps_is_a_slice_of_a_longer_one():
    long = order().batches(0, 4 * PER_EPOCH)
    for first, last in [(0, 1), (3, 7), (8, 10), (9, 18), (5, 30), (17, 19), (35, 36)]:
        assert np.array_equal(order().batches(first, last), long[first:last])


def test_stretches_asked_for_in_any_order_from_one_object_are_the_same():
    long, again = order().batches(0, 36), order()
    for first, last in [(30, 36), (0, 12), (12, 30), (0, 12)]:
        assert np.array_equal(again.batches(first, last), long[first:last])


def test_every_epoch_is_a_new_permutation_without_repeats():
    epochs = order().batches(0, 3 * PER_EPOCH).reshape(3, -1)
    for epoch in epochs:
        assert len(set(epoch.tolist())) == PER_EPOCH * BATCH
        assert epoch.min() >= 0
        assert epoch.max() < EXAMPLES
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


def test_what_does_not_fill_a_batch_is_dropped_but_not_always_the_same_examples():
    epochs = order().batches(0, 10 * PER_EPOCH).reshape(10, -1)
    dropped = [frozenset(range(EXAMPLES)) - frozenset(epoch.tolist()) for epoch in epochs]
    assert {len(left) for left in dropped} == {2}
    assert len(set(dropped)) > 1


def test_examples_that_fill_their_batches_are_all_used():
    epoch = BatchOrder(1, 12, 4).batches(0, 3)
    assert sorted(epoch.ravel().tolist()) == list(range(12))


def test_batches_are_int32_rows():
    batches = order().batches(4, 6)
    assert (batches.shape, batches.dtype) == ((2, BATCH), np.int32)
    assert order().batches(4, 4).shape == (0, BATCH)


@pytest.mark.parametrize("seed", [0, 2, 2**31 - 1])
def test_other_seeds_give_another_order(seed):
    assert not np.array_equal(order(seed).batches(0, 2), order(1).batches(0, 2))


def test_the_same_seed_gives_the_same_order():
    assert np.array_equal(order().batches(0, 20), order().batches(0, 20))
