"""What a study measures: accuracies, or losses where there are no classes."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tf_lottery.config import StudyConfig
from tf_lottery.method.spec import Record

Read = Callable[[Record], float]

_REGRESSION = {
    *("meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "meansquaredlogarithmicerror"),
    *("mse", "mae", "mape", "msle", "huber", "logcosh", "cosinesimilarity", "poisson", "tversky"),
}


@dataclass(frozen=True)
class Measure:
    """What runs are compared by.

    Attributes:
        name: `accuracy`, in percent, or `loss`.
        unit: What stands behind a number.
        digits: How many decimals are shown.
        test: A function that reads the value on test data at early stop from a record.
        validation: The same on validation data.
        better: `higher` or `lower`.
    """

    name: str
    unit: str
    digits: int
    test: Read
    validation: Read
    better: str

    @property
    def of_accuracy(self) -> bool:
        """Whether it is accuracy."""
        return self.name == "accuracy"

    @property
    def axis(self) -> str:
        """The label of an axis."""
        return "test accuracy at early stop (%)" if self.of_accuracy else "test loss at early stop"

    def text(self, value: float) -> str:
        """Return a value as a table shows it.

        Args:
            value: The value, in percent if it is an accuracy.
        """
        return f"{value:,.{self.digits}f}" if abs(value) < 1e6 else f"{value:.3g}"


ACCURACY = Measure(
    "accuracy",
    "%",
    2,
    lambda record: 100 * record.early_stop_test_accuracy,
    lambda record: 100 * record.early_stop_validation_accuracy,
    "higher",
)
LOSS = Measure(
    "loss",
    "",
    4,
    lambda record: record.early_stop_test_loss,
    lambda record: record.best_validation_loss,
    "lower",
)


def measure_of(study: StudyConfig) -> Measure:
    """Return what a study's runs are compared by: losses, if its loss is one of regression.

    Args:
        study: The study.
    """
    name = re.sub(r"[^a-z]", "", study.training.loss.lower())
    return LOSS if name in _REGRESSION else ACCURACY
