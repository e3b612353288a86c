"""Lines and barriers, in numbers that are computed by hand."""

import numpy as np
import pytest

from tf_lottery.analysis.interpolation import along, barrier, between

FIRST = {"w": np.array([1.0, 0.0, -0.1], np.float32), "seed": np.array([7, 8], np.uint32)}
SECOND = {"w": np.array([-1.0, 0.0, 0.3], np.float32), "seed": np.array([1, 2], np.uint32)}


def height(weights):
    """An error that is 10 at the second network, 4 at the first, and highest a quarter of the way."""
    share = (float(weights["w"][0]) + 1) / 2
    return {"test": {0.0: 10.0, 0.25: 12.0, 0.5: 11.0, 0.75: 5.0, 1.0: 4.0}[round(share, 3)]}


def test_a_barrier_is_the_highest_error_less_the_mean_of_the_ends():
    errors = along(FIRST, SECOND, height, points=5)["test"]
    assert errors == [10.0, 12.0, 11.0, 5.0, 4.0]
    assert barrier(errors) == 12.0 - 7.0


def test_a_line_that_only_falls_has_half_of_its_fall_as_a_barrier():
    assert barrier([6.0, 5.0, 2.0]) == 2.0


def test_a_barrier_of_two_points_is_not_below_two_points_by_rounding():
    assert barrier([100 * (1 - 0.9), 100 * (1 - 0.88), 100 * (1 - 0.9)]) == 2.0


def test_the_ends_are_the_networks_themselves_and_the_middle_is_their_mean():
    for share, expected in ((1.0, FIRST), (0.0, SECOND)):
        assert between(FIRST, SECOND, share)["w"].tobytes() == expected["w"].tobytes()
    middle = between(FIRST, SECOND, 0.5)["w"]
    assert middle.dtype == np.float32
    assert middle == pytest.approx([0.0, 0.0, 0.1])


def test_numbers_that_are_not_floating_are_those_of_the_first():
    assert between(FIRST, SECOND, 0.3)["seed"] is FIRST["seed"]


def test_the_line_from_a_network_to_itself_does_not_leave_it():
    weights = {"w": np.random.default_rng(0).normal(size=1000).astype(np.float32)}
    seen = []
    along(weights, weights, lambda each: seen.append(each["w"].tobytes()) or {"test": 1.0})
    assert len(seen) == 30
    assert set(seen) == {weights["w"].tobytes()}


def test_zeros_that_both_have_stay():
    points = []
    along(FIRST, SECOND, lambda each: points.append(each["w"][1]) or {"test": 0.0}, points=7)
    assert points == [0.0] * 7


def test_each_point_is_told():
    told = []
    along(FIRST, SECOND, lambda each: {"test": 0.0}, 4, told.append)
    assert told == [1, 2, 3, 4]
