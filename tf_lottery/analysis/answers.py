"""What a finished run answers to each test example, checked against its record."""

from dataclasses import dataclass

import numpy as np

from tf_lottery.analysis.calibration import Calibration
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import Record

ROUNDING = 1e-5
"""How near an example's two highest outputs are, as a share of its largest output, where the order of sums
may decide between them: the sparse engine, or another processor, has another."""
MIXED_ROUNDING = 0.02
"""The same under mixed precision, whose numbers have 8 to 11 bits."""


@dataclass(frozen=True)
class Answers:
    """What a run answers to the test set.

    Attributes:
        record: The run's record.
        chosen: The class that it chooses for each test example.
        labels: The true classes.
        classes: The number of classes.
        calibration: What its probabilities are worth; None if its outputs are none.
    """

    record: Record
    chosen: np.ndarray
    labels: np.ndarray
    classes: int
    calibration: Calibration | None

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right."""
        return self.chosen == self.labels


def check_accuracy(record: Record, outputs: np.ndarray, labels: np.ndarray) -> None:
    """Check that a run is as often right as its record says, up to examples that rounding decides.

    Args:
        record: The run's record.
        outputs: Its outputs for the test set, at early stop.
        labels: The true classes.

    Raises:
        LotteryError: If it isn't.
    """
    hits, count = int(np.count_nonzero(outputs.argmax(axis=-1) == labels)), len(labels)
    told = record.early_stop_test_accuracy * count
    if not abs(hits - told) <= 1e-6 * count + _undecided(outputs, record.spec.training.precision):
        raise LotteryError(
            f"{record.spec.describe()}, built again, is right for {hits:,} of {count:,} test examples. Its "
            f"record says {told:,.0f}: the code or the packages that build it give another network now. "
            "Train the study again with another --output."
        )


def _undecided(outputs: np.ndarray, precision: str) -> int:
    """Return for how many examples rounding decides which output is the highest."""
    if outputs.shape[-1] < 2:
        return 0
    second, first = np.partition(np.asarray(outputs, np.float64), -2, axis=-1)[:, -2:].T
    share = MIXED_ROUNDING if precision.startswith("mixed") else ROUNDING
    return int(np.count_nonzero(first - second <= share * np.abs(outputs).max(axis=-1)))
