"""Effects and their intervals: what a few replicates can say, and what they can't.

Replicates are paired: two runs of one replicate share their initialization and order of examples, so the
difference between them varies less than either does. An interval is of the mean of these differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

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
ROUNDING = 1e-9
"""Values this close count as equal: no two accuracies, in percent, lie so near each other."""


@dataclass(frozen=True)
class Interval:
    """A mean and the interval in which the true mean lies, as far as the values tell.

    Attributes:
        mean: The mean of the values.
        low: The lower end; minus infinity if the values can't tell.
        high: The upper end; infinity if the values can't tell.
        count: The number of values.
        method: `t` (Student's t), `bootstrap` (studentized), or `none`: the values can't tell.
    """

    mean: float
    low: float
    high: float
    count: int
    method: str

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
    numbers = np.asarray(values, dtype=float)
    if not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"expected finite values, at least one, received {list(values)!r:.100}")
    mean, count = float(numbers.mean()), len(numbers)
    spread = float(numbers.std(ddof=1)) if count > 1 else 0.0
    if spread <= ROUNDING:
        known = count >= FEW
        return Interval(mean, mean if known else -math.inf, mean if known else math.inf, count, "none")
    error = spread / math.sqrt(count)
    studentized = _studentized(numbers, mean) if count >= MANY else ()
    if len(studentized) < (1 - RARE) * DRAWS:
        low, high = stats.t.interval(level, count - 1, mean, error)
        return Interval(mean, float(low), float(high), count, "t")
    upper, lower = np.quantile(studentized, [(1 + level) / 2, (1 - level) / 2])
    return Interval(mean, float(mean - upper * error), float(mean - lower * error), count, "bootstrap")


def _studentized(numbers: np.ndarray, mean: float) -> np.ndarray:
    """Return by how many of its standard errors the mean of each resample lies above the mean; resamples of
    equal values are left out."""
    draws = np.random.default_rng(0).integers(len(numbers), size=(DRAWS, len(numbers)))
    samples = numbers[draws]
    spreads = samples.std(axis=1, ddof=1)
    varied = spreads > ROUNDING
    errors = spreads[varied] / math.sqrt(len(numbers))
    return (samples[varied].mean(axis=1) - mean) / errors


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half of values (Agarwal et al. 2021), which outliers don't move.

    Args:
        values: The values, of all replicates. A value at an edge counts by the part that lies inside.
    """
    numbers = np.sort(np.asarray(values, dtype=float))
    quarter = len(numbers) / 4
    weights = np.clip(np.arange(1, len(numbers) + 1) - quarter, 0, 1)
    weights *= weights[::-1]
    return float(np.average(numbers, weights=weights))
