"""What a training tells those who watch it. Watching changes no result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One evaluation. `train_*` are means since the last one, None at the first."""

    step: int
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float
    validation_accuracy: float


class TrainingObserver:
    """Hears of a training; does nothing."""

    def advanced(self, step: int) -> None:
        """The network has had `step` steps."""

    def evaluated(self, point: Point) -> None:
        """The validation set was evaluated."""
