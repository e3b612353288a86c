from fractions import Fraction

import numpy as np
import pytest

from tf_lottery.pruning.compare import compare_masks

FIRST = {"a": np.array([1, 1, 1, 0, 0, 0, 0, 0], bool), "b": np.array([[1, 0], [0, 1]], bool)}
SECOND = {"a": np.array([1, 1, 0, 1, 1, 0, 0, 0], bool), "b": np.array([[1, 0], [0, 1]], bool)}


def test_counts_by_hand():
    found = compare_masks(FIRST, SECOND, True)
    a, b, total = found.layers["a"], found.layers["b"], found.total
    assert (a.size, a.first, a.second, a.both) == (8, 3, 4, 2)
    assert (b.size, b.first, b.second, b.both) == (4, 2, 2, 2)
    assert (total.size, total.first, total.second, total.both) == (12, 5, 6, 4)
    assert a.chance == Fraction(3 * 4, 8)
    assert b.chance == 1
    assert total.chance == Fraction(5, 2)  # layer by layer, not 5 * 6 / 12 of one that is well mixed
    assert a.jaccard == 2 / 5
    assert a.distance == 3 / 8
    assert (b.jaccard, b.distance) == (1, 0)
    assert total.jaccard == 4 / 7
    assert total.distance == 3 / 12


def test_chance_is_the_mean_over_all_masks_that_keep_as_many():
    from itertools import combinations

    both = [len(set(first) & {0, 1, 2}) for first in combinations(range(6), 4)]
    first, second = np.zeros(6, bool), np.zeros(6, bool)
    first[:4], second[:3] = True, True
    assert compare_masks({"a": first}, {"a": second}, True).total.chance == pytest.approx(np.mean(both))


def test_disjoint_and_empty_masks():
    found = compare_masks({"a": ~FIRST["a"]}, {"a": FIRST["a"]}, False).total
    assert (found.both, found.jaccard, found.distance) == (0, 0, 1)
    nothing = compare_masks({"a": np.zeros(3, bool)}, {"a": np.zeros(3, bool)}, False).total
    assert (nothing.jaccard, nothing.distance, nothing.chance) == (1, 0, 0)
    assert compare_masks({"a": np.zeros(0, bool)}, {"a": np.zeros(0, bool)}, False).total.distance == 0


def test_the_table_has_a_row_for_each_kernel_and_one_for_all():
    lines = str(compare_masks(FIRST, SECOND, False)).splitlines()
    assert lines[0].split() == ["kernel", "first", "second", "both", "by", "chance", "Jaccard", "distance"]
    assert lines[1].split() == ["a", "37.5%", "50.0%", "25.0%", "18.8%", "0.400", "0.375"]
    assert lines[3].split() == ["all", "41.7%", "50.0%", "33.3%", "20.8%", "0.571", "0.250"]
    assert lines[4] == "They start from different weights."
    assert "the same weights" in str(compare_masks(FIRST, FIRST, True))
    assert str(compare_masks({}, {}, True))
    assert str(compare_masks({"a": np.zeros(0, bool)}, {"a": np.zeros(0, bool)}, True))
