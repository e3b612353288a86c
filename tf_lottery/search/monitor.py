"""The quantity by which a search compares rounds: its name in the logs of `fit`, and which is better."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tf_lottery.errors import LotteryError

MODES = ("auto", "max", "min")
# Parts of the names of Keras's metrics: more is better for these, less for the second list.
_MORE = ("acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "r2", "similarity", "sensitivity")
_MORE += ("specificity", "true_positives", "true_negatives", "pearson", "concordance", "dice")
_LESS = ("loss", "error", "mse", "mae", "mape", "msle", "entropy", "divergence", "hinge", "poisson")
_LESS += ("false_positives", "false_negatives", "logcosh", "perplexity")


@dataclass(frozen=True)
class Monitor:
    """A quantity of the logs.

    Attributes:
        name: The quantity's name in the logs of `fit`, such as `val_accuracy`, `val_loss`, `val_head_auc`.
        mode: Which is better, `max` or `min`.
    """

    name: str
    mode: str

    @classmethod
    def of(cls, name: str, mode: str = "auto") -> "Monitor":
        """Return the monitor for a quantity.

        Raises:
            LotteryError: If the mode is `auto` and the name doesn't tell whether more or less is better.
        """
        if mode not in MODES:
            raise LotteryError(f"Expected mode of {', '.join(MODES)}. Received: {mode!r}")
        if not isinstance(name, str) or not name:
            raise LotteryError(
                f"Expected the name of what is monitored, such as 'val_loss'. Received: {name!r}"
            )
        if mode == "auto":
            plain = name.lower()
            less, more = any(part in plain for part in _LESS), any(part in plain for part in _MORE)
            if less == more:
                raise LotteryError(
                    f"Expected mode='max' or mode='min', since {name!r} doesn't tell which is better. "
                    "Received: mode='auto'"
                )
            mode = "min" if less else "max"
        return cls(name, mode)

    @classmethod
    def default(cls, logs: Mapping[str, float]) -> "Monitor":
        """Return validation accuracy, if one is logged, else the validation loss."""
        accuracies = [name for name in logs if re.fullmatch(r"val_(.*_)?acc(uracy)?(_\d+)?", name)]
        if "val_accuracy" in accuracies or len(accuracies) > 1:  # no one of several outputs is singled out
            accuracies = [name for name in accuracies if name == "val_accuracy"]
        return cls(accuracies[0], "max") if accuracies else cls("val_loss", "min")

    def goodness(self, value: float) -> float:
        """Return the value with a sign such that more is better."""
        return value if self.mode == "max" else -value

    def read(self, logs: Mapping[str, float], epoch: int) -> float | None:
        """Return the value in an epoch's logs, None if it wasn't measured there.

        Raises:
            LotteryError: If it is NaN or infinite.
        """
        if self.name not in logs:
            if not self.name.startswith("val_"):  # validation may come every few epochs
                raise self.missing(logs)
            return None
        value = float(logs[self.name])
        if not math.isfinite(value):
            raise divergence(self.name, f"{value} after epoch {epoch + 1}")
        return value

    def missing(self, logs: Mapping[str, float]) -> LotteryError:
        """Return the error for a quantity that the logs don't have."""
        return LotteryError(
            f"Expected monitor as one of what fit logs ({', '.join(logs)}). Received: {self.name!r}"
        )


def divergence(expected: str, received: str) -> LotteryError:
    """Return the error for a training that diverged.

    Args:
        expected: What should have been finite.
        received: Its value, and where it occurred.
    """
    return LotteryError(
        f"Expected a finite {expected}. Received: {received}: the training diverged. Look for NaN and "
        "infinity in the data; else lower the learning rate of the model's optimizer."
    )
