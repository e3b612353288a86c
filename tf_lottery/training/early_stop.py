"""Early stop as the papers mean it: a measurement that is found afterwards, while training goes on."""

import math

from tf_lottery.arrays import Arrays
from tf_lottery.training.observe import Point


class EarlyStop:
    """Keeps the point of minimum validation loss (the first of equal ones) and its weights."""

    def __init__(self):
        self.point: Point | None = None
        self.weights: Arrays | None = None

    def improves(self, point: Point) -> bool:
        """Return whether the weights of this point are to be kept."""
        return self.point is None or point.validation_loss < self.point.validation_loss

    def keep(self, point: Point, weights: Arrays) -> None:
        """Keep a point and its weights."""
        self.point, self.weights = point, weights


def diverged(point: Point) -> bool:
    """Return whether a training has become useless: NaN or infinite loss."""
    losses = [loss for loss in (point.train_loss, point.validation_loss) if loss is not None]
    return not all(math.isfinite(loss) for loss in losses)
