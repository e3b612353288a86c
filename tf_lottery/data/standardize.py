"""Standardizing inputs: subtracting the mean of the training examples and dividing by their deviation.

The last axis is that of the channels of images, or of the features of vectors: each of its entries has a mean
and a deviation of its own, over everything else.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tf_lottery.errors import LotteryError


@dataclass(frozen=True)
class Standardization:
    """The numbers that inputs are standardized with.

    Attributes:
        mean: The mean of the training examples, float64 of shape (channels or features,).
        deviation: Their standard deviation, likewise. Where it was 0, it is 1.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> "Standardization":
        """Return the mean and the deviation of examples that are read in parts.

        The variances of the parts are joined as Chan, Golub & LeVeque (1979) do, so one pass suffices and
        large means cost no digits. Where all numbers are equal, the deviation is exactly 0 before it counts
        as 1.

        Args:
            parts: Examples as the network would take them without this: float32, examples first. Where the
                parts end decides about the last bits.
        """
        count, mean, squares = 0, np.zeros(1), np.zeros(1)
        for part in parts:
            # Contiguous, so that the order of the sums doesn't depend on how the source lies in memory.
            values = np.ascontiguousarray(part, np.float64).reshape(-1, part.shape[-1])
            own = values.sum(axis=0) / len(values)
            apart, total = own - mean, count + len(values)
            mean = mean + apart * (len(values) / total)
            squares = squares + ((values - own) ** 2).sum(axis=0) + apart**2 * (count * len(values) / total)
            count = total
        deviation = np.sqrt(squares / count)
        return cls(mean, np.where(deviation == 0, 1.0, deviation))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return standardized inputs: computed in float64, then rounded to float32.

        Args:
            x: Inputs as the network would take them without this.

        Raises:
            LotteryError: If a result is too large for float32.
        """
        standardized = x.astype(np.float64)
        standardized -= self.mean
        standardized /= self.deviation
        try:
            with np.errstate(over="raise"):
                return standardized.astype(np.float32)
        except FloatingPointError as error:
            raise LotteryError(
                "Standardized inputs exceed float32: an input is too far from the training examples, whose "
                "deviation is too small. Remove that feature, or leave data.standardize out."
            ) from error

    def numbers(self) -> dict[str, list[float]]:
        """Return `mean` and `deviation` as lists, as a record keeps them."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
