"""`Engine`, what computes a training. Code that measures, keeps or resumes one knows this interface only."""

from collections.abc import Sequence
from typing import Protocol

from tf_lottery.arrays import Arrays
from tf_lottery.data.order import BatchOrder
from tf_lottery.pruning.masks import Masks
from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop


class Engine(Protocol):
    """Trains one network, from the masks, weights and optimizer state that were set beforehand."""

    def train(
        self, first: int, last: int, order: BatchOrder, stops: Sequence[Stop], passed: Passed | None = None
    ) -> None:
        """Train from one step to another.

        Args:
            first: The number of steps that the network has had already.
            last: The last step.
            order: The order that decides which examples make up each step's batch.
            stops: The stops that the training pauses for.
            passed: What had passed since the last planned pause when the training was interrupted.
        """

    def measure(self, part: str) -> tuple[float, float]:
        """Return loss and accuracy on a part of the data, `validation` or `test`."""

    def check(self) -> None:
        """Check that every pruned weight is exactly 0.0, and that no weight is NaN or infinite."""

    def masks(self) -> Masks:
        """Return the masks by kernel path."""

    def weights(self) -> Arrays:
        """Return copies of all weights of the whole network."""

    def state(self) -> Arrays:
        """Return copies of all variables that the training changes, the optimizer's included."""

    def restore(self, state: Arrays) -> None:
        """Restore what `state` returned, bit for bit."""

    def set_weights(self, weights: Arrays) -> None:
        """Replace all weights; pruned ones stay exactly 0.0."""

    def optimizer_state(self) -> Arrays:
        """Return copies of the optimizer's variables."""
