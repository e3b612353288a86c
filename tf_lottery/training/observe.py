"""Observers of a training, and what they hear of. Watching changes no result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One evaluation. `train_*` are means since the previous evaluation, None at the first one."""

    step: int
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float
    validation_accuracy: float


@dataclass
class Passed:
    """What passed in a stretch of a training: sums over its steps, and seconds."""

    steps: int = 0
    loss_sum: float = 0.0
    accuracy_sum: float = 0.0
    seconds: float = 0.0

    @property
    def loss(self) -> float:
        """The mean loss over the steps."""
        return self.loss_sum / self.steps

    @property
    def accuracy(self) -> float:
        """The mean accuracy over the steps."""
        return self.accuracy_sum / self.steps

    def __add__(self, later: "Passed") -> "Passed":
        return Passed(
            self.steps + later.steps,
            self.loss_sum + later.loss_sum,
            self.accuracy_sum + later.accuracy_sum,
            self.seconds + later.seconds,
        )


class TrainingObserver:
    """Hears of a training and does nothing; subclasses override what they need."""

    def advanced(self, step: int) -> None:
        """Hear that the network has had `step` steps."""

    def evaluated(self, point: Point) -> None:
        """Hear that the validation set was evaluated."""
