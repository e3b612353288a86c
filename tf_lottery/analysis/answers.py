"""What a finished run answers to each test example, checked against its record."""

from dataclasses import dataclass

import numpy as np

from tf_lottery.analysis.calibration import Calibration
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import Record


@dataclass(frozen=True)
class Rounding:
    """How far a network that is computed again may be off: the sparse engine, or another processor, adds in
    another order.

    Attributes:
        outputs: How near an example's two highest outputs are where rounding may decide between them, as a
            share of its largest output.
        loss: How far the loss may be off, as a share of it.
    """

    outputs: float
    loss: float


FULL = Rounding(outputs=1e-5, loss=1e-3)
MIXED = Rounding(outputs=0.02, loss=0.02)
"""Mixed precision, whose numbers have 8 to 11 bits."""


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


def check_record(record: Record, outputs: np.ndarray, labels: np.ndarray, loss: float) -> None:
    """Check that a run is what its record says: as often right, and with the same loss, up to rounding.

    Args:
        record: The run's record.
        outputs: Its outputs for the test set, at early stop.
        labels: The true classes.
        loss: Its mean loss there.

    Raises:
        LotteryError: If it isn't.
    """
    hits, count = int(np.count_nonzero(outputs.argmax(axis=-1) == labels)), len(labels)
    told, told_loss = record.early_stop_test_accuracy * count, record.early_stop_test_loss
    precision = MIXED if record.spec.training.precision.startswith("mixed") else FULL
    as_often = abs(hits - told) <= 1e-6 * count + _undecided(outputs, precision.outputs)
    if not as_often or not abs(loss - told_loss) <= precision.loss * max(abs(told_loss), 1e-3):
        raise LotteryError(
            f"{record.spec.describe()}, built again, is right for {hits:,} of {count:,} test examples, with "
            f"a loss of {loss:.5g}. Its record says {told:,.0f} and {told_loss:.5g}: the code or the "
            "packages that build it give another network now. Train the study again with another --output."
        )


def _undecided(outputs: np.ndarray, share: float) -> int:
    """Return for how many examples rounding decides which output is the highest."""
    if outputs.shape[-1] < 2:
        return 0
    second, first = np.partition(np.asarray(outputs, np.float64), -2, axis=-1)[:, -2:].T
    return int(np.count_nonzero(first - second <= share * np.abs(outputs).max(axis=-1)))
