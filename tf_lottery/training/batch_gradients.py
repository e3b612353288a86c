"""Gradients of the loss of a training's present batch, with respect to all weights, absent ones included."""

from functools import cached_property

from tf_lottery.arrays import Arrays
from tf_lottery.data.order import BatchOrder
from tf_lottery.pruning.masks import ones
from tf_lottery.pruning.probe import Scores
from tf_lottery.training.scores import KerasProbe
from tf_lottery.training.trainer import Trainer


class BatchGradients:
    """Measures gradients on the batch that the next step trains on (Evci et al. 2020, RigL).

    They are taken on a network of its own, as `KerasProbe` has it: random layers are off, batch normalization
    uses the statistics of the batch (of slices of it, if it has more than 256 examples), penalties aren't
    part of the loss. On several replicas it is the whole batch's gradient, the same on each of them.

    Args:
        trainer: The trainer of the network.
        order: The order of the training's examples.
    """

    def __init__(self, trainer: Trainer, order: BatchOrder):
        self._trainer, self._order = trainer, order

    def __call__(self, step: int, weights: Arrays) -> Scores:
        """Return kernel path -> gradient.

        Args:
            step: The number of steps that the network has had.
            weights: All weights of the network, by name.
        """
        (x, y), *_ = self._trainer.feed.chunks(self._order, [(step, step + 1)])
        self._probe.move(weights, x[0].numpy(), y[0].numpy())
        return self._probe.gradients(self._all)

    @cached_property
    def _all(self):
        return ones(self._trainer.shapes())

    @cached_property
    def _probe(self) -> KerasProbe:
        (x, y), *_ = self._trainer.feed.chunks(self._order, [(0, 1)])
        return self._trainer.probe_on(self._trainer.weights(), x[0].numpy(), y[0].numpy())
