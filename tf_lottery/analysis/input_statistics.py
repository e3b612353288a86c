"""Figures about the numbers of an input: how much each varies, and what a map of them says."""

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from tf_lottery.data.split import Split

ROUNDING = 9
"""The digits, of the largest number's, in which numbers have to differ."""
PART_BYTES = 32 * 2**20
"""The bytes of inputs that are looked at at once."""


def deviations(split: "Split") -> np.ndarray:
    """Return the standard deviation of each number of the input, exactly 0.0 where it is constant.

    Args:
        split: The examples, whose inputs are taken as their source has them: standardized features would all
            vary alike.
    """
    rows = np.arange(len(split)) if split.rows is None else split.rows
    origin = np.asarray(split.source[rows[0]], np.float64)
    sums, squares = np.zeros_like(origin), np.zeros_like(origin)
    part = max(1, PART_BYTES // max(1, 8 * origin.size))
    for at in range(0, len(rows), part):
        away = np.asarray(split.source[rows[at : at + part]], np.float64) - origin
        sums += away.sum(axis=0)
        squares += np.square(away).sum(axis=0)
    variance = squares / len(rows) - np.square(sums / len(rows))
    return np.sqrt(np.maximum(variance, 0.0))


def correlated(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the rank correlation of two arrays (Spearman 1904); None where one is constant.

    Numbers that differ by the rounding of sums only share a rank.

    Args:
        first: Numbers.
        second: As many.
    """
    first, second = _apart(first), _apart(second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)


def middle_and_border(counts: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """Return the mean in the central half of rows and columns, and in the outermost eighth on each side.

    Args:
        counts: An array whose first axes are height and width.

    Returns:
        Both means; None twice where there are fewer than four rows or columns.
    """
    height, width = counts.shape[:2]
    if min(height, width) < 4:
        return None, None
    middle = counts[height // 4 : height - height // 4, width // 4 : width - width // 4]
    rows, columns = max(1, height // 8), max(1, width // 8)
    is_border = np.ones((height, width), bool)
    is_border[rows:-rows, columns:-columns] = False
    return float(middle.mean()), float(counts[is_border].mean())


def _apart(values: np.ndarray) -> np.ndarray:
    values = np.ravel(values).astype(np.float64)
    return np.round(values / (np.abs(values).max() or 1), ROUNDING)
