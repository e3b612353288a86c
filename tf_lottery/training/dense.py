"""The dense engine: the compiled loop on a Keras model whose kernels keep pruned weights as zeros."""

from collections.abc import Callable, Mapping, Sequence

import keras

from tf_lottery.arrays import Arrays
from tf_lottery.data.order import BatchOrder
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.pruning.masks import Masks
from tf_lottery.training import state
from tf_lottery.training.loop import Loop
from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop


class DenseEngine:
    """An `Engine` made of a compiled loop and compiled evaluations.

    Args:
        model: The prunable network.
        optimizer: The network's optimizer, built.
        loop: The compiled loop that trains the network with this optimizer.
        evaluate: `validation` and `test` -> function that returns loss and accuracy.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loop: Loop,
        evaluate: Mapping[str, Callable[[], tuple[float, float]]],
    ):
        self.model, self.optimizer, self.loop, self.evaluate = model, optimizer, loop, evaluate

    def train(
        self, first: int, last: int, order: BatchOrder, stops: Sequence[Stop], passed: Passed | None = None
    ) -> None:
        """Train from one step to another, as in `Engine`."""
        self.loop.run(first, last, order, stops, passed)

    def measure(self, part: str) -> tuple[float, float]:
        """Return loss and accuracy on `validation` or `test`."""
        return self.evaluate[part]()

    def check(self) -> None:
        """Check that pruned weights are 0.0, weights are finite, and replicas agree."""
        self.loop.check()

    def masks(self) -> Masks:
        """Return the masks by kernel path."""
        return get_masks(self.model)

    def weights(self) -> Arrays:
        """Return copies of all weights."""
        return state.capture(state.model_variables(self.model))

    def state(self) -> Arrays:
        """Return copies of all variables of the network and its optimizer."""
        return state.capture(self._variables())

    def restore(self, saved: Arrays) -> None:
        """Restore what `state` returned."""
        state.restore(self._variables(), saved)

    def set_weights(self, weights: Arrays) -> None:
        """Replace all weights; pruned ones stay exactly 0.0."""
        state.restore(state.model_variables(self.model), weights)

    def set_masks(self, masks: Masks) -> None:
        """Replace the masks, as in `Changing`."""
        set_masks(self.model, masks)

    def optimizer_state(self) -> Arrays:
        """Return copies of the optimizer's variables."""
        return state.capture(state.optimizer_variables(self.optimizer))

    def _variables(self) -> dict[str, keras.Variable]:
        return state.model_variables(self.model) | state.optimizer_variables(self.optimizer)
