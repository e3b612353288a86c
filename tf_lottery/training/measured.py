"""A training that is measured on the way, from its first step or from a checkpoint."""

from collections.abc import Sequence

from tf_lottery.data.order import BatchOrder
from tf_lottery.training.checkpoint import Checkpoint
from tf_lottery.training.engine import Engine
from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop


def train(
    engine: Engine,
    first: int,
    last: int,
    order: BatchOrder,
    stops: Sequence[Stop],
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train, pausing for each stop, and at both ends for those that ask for it.

    Args:
        engine: What trains, with masks, weights and optimizer as the training begins.
        first: The step at which the training begins, or began.
        last: Its last step.
        order: Which examples make up each step's batch.
        stops: What the training pauses for, in the order in which they act where they share a step.
        checkpoint: A checkpoint of the same training; it is resumed from there, to the same bits.
    """
    if checkpoint is None:
        for stop in stops:
            if first in stop.steps(first, last):
                stop.act(first, Passed())
        engine.train(first, last, order, stops)
        return
    engine.restore(checkpoint.variables)
    for stop in stops:
        stop.restore(checkpoint.kept, checkpoint.arrays)
    engine.train(checkpoint.step, last, order, stops, checkpoint.since_stop)
