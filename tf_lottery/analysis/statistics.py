"""Effects and their intervals: what a few replicates can say, and what they can't.

Replicates are paired: two runs of one replicate share their initialization and order of examples, so the
difference between them varies less than either does. An interval is of the mean of these differences, or of
their interquartile mean, which one replicate that went astray doesn't move.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Along = Callable[[np.ndarray], np.ndarray]
"""What is worked out along the last axis."""

LEVEL = 0.95
"""The share of studies in which an interval contains the true effect, if its assumptions hold."""
MANY = 10
"""From so many replicates on, an interval is a bootstrap; below, Student's t."""
FEW = 5
"""Below so many replicates, differences that are all equal say nothing of how they vary."""
DRAWS = 9999
"""The resamples of a bootstrap."""
RARE = 0.001
"""The most resamples, as a share of them, whose values may be all equal; these say nothing of an error."""
MEAN, INTERQUARTILE_MEAN = "mean", "interquartile mean"
ROUNDING = 1e-9
"""Values this close count as equal: no two accuracies, in percent, lie so near each other."""


@dataclass(frozen=True)
class Interval:
    """A mean and the interval in which the true mean lies, as far as the values tell.

    Attributes:
        mean: The mean of the values, or their interquartile mean.
        low: The lower end; minus infinity if the values can't tell.
        high: The upper end; infinity if the values can't tell.
        count: The number of values.
        method: `t` (Student's t), `bootstrap` (studentized), or `none`: the values can't tell.
        statistic: Which mean it is: `MEAN` or `INTERQUARTILE_MEAN`.
    """

    mean: float
    low: float
    high: float
    count: int
    method: str
    statistic: str = MEAN

    def above(self, threshold: float) -> bool | None:
        """Return whether the true mean is above a threshold; None if the interval contains both answers."""
        if self.low > threshold + ROUNDING:
            return True
        return False if self.high <= threshold + ROUNDING else None

    def below(self, threshold: float) -> bool | None:
        """Return whether the true mean is below a threshold; None if the interval contains both answers."""
        if self.high < threshold - ROUNDING:
            return True
        return False if self.low >= threshold - ROUNDING else None

    def at_least(self, threshold: float) -> bool | None:
        """Return whether the true mean is at or above a threshold; None if the interval has both answers."""
        below = self.below(threshold)
        return None if below is None else not below

    def within(self, margin: float) -> bool | None:
        """Return whether the true mean is within a margin of 0; None if the interval has both answers."""
        above, below = self.above(margin), self.below(-margin)
        if above is False and below is False:
            return True
        return False if above or below else None


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Return the mean of values and its interval.

    Below ten values it is Student's t, which assumes that they are normal; from ten on the studentized
    bootstrap (Efron & Tibshirani 1993, section 12.5), which doesn't, and whose intervals cover what they say
    better than percentiles do for so few values. Where most values are equal it is Student's t again: many
    resamples then hold this one value only.

    Args:
        values: One value a replicate, such as the paired difference of two arms.
        level: The share of studies in which the interval is to contain the true mean.

    Raises:
        ValueError: If there are no values, or one isn't finite.
    """
    numbers, count = _checked(values), len(values)
    mean = float(numbers.mean())
    spread = float(numbers.std(ddof=1)) if count > 1 else 0.0
    if spread <= ROUNDING:
        return _of_equal(mean, count)
    error = spread / math.sqrt(count)
    studentized = _studentized(numbers, _mean, _error) if count >= MANY else ()
    if len(studentized) < (1 - RARE) * DRAWS:
        low, high = stats.t.interval(level, count - 1, mean, error)
        return Interval(mean, float(low), float(high), count, "t")
    return Interval(mean, *_ends(mean, error, studentized, level), count, "bootstrap")


def interquartile_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Return the interquartile mean of values (Agarwal et al. 2021) and its interval.

    It is the studentized bootstrap, whose errors are those of a trimmed mean, from the winsorized variance
    (Yuen 1974; Wilcox 2012, section 4.4): for ten values the percentiles of Agarwal et al. contain the true
    one too seldom. Below ten values, and where most of the middle half are equal, there is no interval.

    Args:
        values: One value a replicate, such as the paired difference of two arms.
        level: The share of studies in which the interval is to contain the true interquartile mean.

    Raises:
        ValueError: If there are no values, or one isn't finite.
    """
    numbers, count = _checked(values), len(values)
    middle = float(_middle(numbers))
    if count >= MANY and np.ptp(numbers) <= ROUNDING:
        return _of_equal(middle, count, INTERQUARTILE_MEAN)
    studentized = _studentized(numbers, _middle, _error_of_middle) if count >= MANY else ()
    error = float(_error_of_middle(numbers))
    if error <= ROUNDING or len(studentized) < (1 - RARE) * DRAWS:
        return Interval(middle, -math.inf, math.inf, count, "none", INTERQUARTILE_MEAN)
    ends = _ends(middle, error, studentized, level)
    return Interval(middle, *ends, count, "bootstrap", INTERQUARTILE_MEAN)


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half of values (Agarwal et al. 2021), which outliers don't move.

    Args:
        values: The values, of all replicates. A value at an edge counts by the part that lies inside.
    """
    return float(_middle(np.asarray(values, dtype=float)))


def _checked(values: Sequence[float]) -> np.ndarray:
    numbers = np.asarray(values, dtype=float)
    if not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"expected finite values, at least one, received {list(values)!r:.100}")
    return numbers


def _of_equal(value: float, count: int, statistic: str = MEAN) -> Interval:
    known = count >= FEW
    low, high = (value, value) if known else (-math.inf, math.inf)
    return Interval(value, low, high, count, "none", statistic)


def _ends(value: float, error: float, studentized: np.ndarray, level: float) -> tuple[float, float]:
    upper, lower = np.quantile(studentized, [(1 + level) / 2, (1 - level) / 2])
    return float(value - upper * error), float(value - lower * error)


def _studentized(numbers: np.ndarray, value: Along, error: Along) -> np.ndarray:
    """Return by how many of its own errors the value of each resample lies above that of the numbers;
    resamples without an error, whose numbers are equal, are left out."""
    draws = np.random.default_rng(0).integers(len(numbers), size=(DRAWS, len(numbers)))
    samples = numbers[draws]
    errors = error(samples)
    varied = errors > ROUNDING
    return (value(samples[varied]) - value(numbers)) / errors[varied]


def _mean(numbers: np.ndarray) -> np.ndarray:
    return numbers.mean(axis=-1)


def _error(numbers: np.ndarray) -> np.ndarray:
    return numbers.std(axis=-1, ddof=1) / math.sqrt(numbers.shape[-1])


def _middle(numbers: np.ndarray) -> np.ndarray:
    count = numbers.shape[-1]
    weights = np.clip(np.arange(1, count + 1) - count / 4, 0, 1)
    weights *= weights[::-1]
    return np.sort(numbers, axis=-1) @ (weights / weights.sum())


def _error_of_middle(numbers: np.ndarray) -> np.ndarray:
    """Return the standard error of the interquartile mean: that of the values with the outer quarters drawn
    in to the edges of the middle half, which is one half of the values."""
    count = numbers.shape[-1]
    edge = count // 4
    inside = np.sort(numbers, axis=-1)[..., edge : count - edge]
    winsorized = np.clip(numbers, inside[..., :1], inside[..., -1:])
    return 2 * winsorized.std(axis=-1, ddof=min(1, count - 1)) / math.sqrt(count)
