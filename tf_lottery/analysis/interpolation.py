"""The straight line between two networks, and the error barrier on it (Frankle et al. 2020)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tf_lottery.arrays import Arrays

POINTS = 30
"""The points of a line, both ends included (Frankle et al. 2020)."""
UNSTABLE = 2.0
"""From so many points of error on, a barrier says that networks aren't connected (Frankle et al. 2020)."""

Measure = Callable[[Arrays], Mapping[str, float]]
"""Measures a network with some weights: what was measured -> the error in percent."""


def between(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], share: float) -> Arrays:
    """Return the weights at a point of the line between two networks.

    Numbers that aren't floating, such as the seeds of dropout, are those of the first network.

    Args:
        first: The weights of the first network, by name.
        second: Those of the second, in the same shapes.
        share: The first network's share: 1 is the first network, 0 the second.
    """
    return {name: _mixed(value, second[name], share) for name, value in first.items()}


def _mixed(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    if not np.issubdtype(first.dtype, np.floating):
        return first
    # In float64, so that the line from a network to itself doesn't leave it.
    mixed = share * first.astype(np.float64) + (1 - share) * second.astype(np.float64)
    return mixed.astype(first.dtype)


def along(
    first: Mapping[str, np.ndarray],
    second: Mapping[str, np.ndarray],
    measure: Measure,
    points: int = POINTS,
    passed: Callable[[int], None] = lambda point: None,
) -> dict[str, list[float]]:
    """Measure networks at evenly spaced points of a line, from the second network to the first.

    Args:
        first: The weights of the first network, by name.
        second: Those of the second.
        measure: A function that measures a network with some weights.
        points: The number of points, both ends included.
        passed: A function that is called with the number of points that are measured.

    Returns:
        What was measured -> its errors, one a point.
    """
    errors: dict[str, list[float]] = {}
    for number, share in enumerate(np.linspace(0, 1, points), 1):
        for what, error in measure(between(first, second, float(share))).items():
            errors.setdefault(what, []).append(float(error))
        passed(number)
    return errors


def barrier(errors: Sequence[float]) -> float:
    """Return the highest error on a line less the mean of those at its ends.

    Args:
        errors: The errors, one a point, both ends included.
    """
    # Rounded, so that a barrier of two points isn't below two points by the error of its arithmetic.
    return round(max(errors) - (errors[0] + errors[-1]) / 2, 9)
