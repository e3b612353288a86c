"""A training with its stops, from its first step or from a checkpoint."""

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
    """Train with stops, which may also act at the first and at the last step.

    Args:
        engine: The engine, with masks, weights and optimizer in the state in which the training begins.
        first: The step at which the training begins, or began.
        last: The last step.
        order: The order that decides which examples make up each step's batch.
        stops: The stops that the training pauses for, in the order in which they act at a common step.
        checkpoint: A checkpoint of the same training, from which it is resumed to the same bits.
    """
    if checkpoint is None:
        for stop in stops:
            if first in stop.steps(first, last):
                stop.act(first, Passed())
        engine.train(first, last, order, stops)
        return
    for stop in stops:
        stop.prepare(checkpoint.kept, checkpoint.arrays)
    engine.restore(checkpoint.variables)
    for stop in stops:
        stop.restore(checkpoint.kept, checkpoint.arrays)
    engine.train(checkpoint.step, last, order, stops, checkpoint.since_stop)
