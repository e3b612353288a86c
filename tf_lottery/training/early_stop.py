"""Early stop as the papers define it: a point that is found afterwards, while training goes on."""

import math

from tf_lottery.arrays import Arrays
from tf_lottery.training.observe import Point


class EarlyStop:
    """Keeps the point of minimum validation loss (the first of equal ones) and its weights."""

    def __init__(self):
        self.point: Point | None = None
        self.weights: Arrays | None = None

    def improves(self, point: Point) -> bool:
        """Return whether this point is the best so far, so that its weights should be kept."""
        return self.point is None or point.validation_loss < self.point.validation_loss

    def keep(self, point: Point, weights: Arrays) -> None:
        """Keep a point and its weights."""
        self.point, self.weights = point, weights


class LastStep(EarlyStop):
    """Keeps the last point, of trainings whose masks change until then."""

    def improves(self, point: Point) -> bool:
        """Return True: a later point replaces all before it."""
        return True


def diverged(point: Point) -> bool:
    """Return whether a training has diverged, so that its loss is NaN or infinite."""
    losses = [loss for loss in (point.train_loss, point.validation_loss) if loss is not None]
    return not all(math.isfinite(loss) for loss in losses)
