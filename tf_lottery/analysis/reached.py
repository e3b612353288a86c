"""What each arm and round reached, and all that was spent to get there."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from tf_lottery.method.ledger import UNKNOWN, Line, Spending, ledger, lines
from tf_lottery.method.matching import by_round, main_arm
from tf_lottery.method.spec import Record


@dataclass(frozen=True)
class Reached:
    """The runs of one arm and round: means over replicates, whose trials are averaged first.

    Attributes:
        line: What they cost.
        weights: The number of prunable weights that remain.
        test_accuracy: The test accuracy at early stop, a fraction.
        times_steps: All training steps, search included, as a multiple of those of the dense network's one
            training; None if either isn't known.
        times_flops: The same for FLOPs. Those of the weights that remain are counted, against all of the
            dense network's.
    """

    line: Line
    weights: float
    test_accuracy: float
    times_steps: float | None
    times_flops: float | None


def reached(records: Iterable[Record]) -> list[Reached]:
    """Return what each arm and round reached, in the order of the ledger.

    Args:
        records: The study's finished runs, as `collect` returns them.
    """
    records = list(records)
    every = lines(ledger(records))
    dense = dense_cost(records, every)
    found = {
        arm: [
            {round: mean(values) for round, values in by_round(records, read, arm).items()}
            for read in (_weights, _test_accuracy)
        ]
        for arm in {line.arm for line in every}
    }
    return [
        Reached(
            line,
            *(values[line.round] for values in found[line.arm]),
            times(line.all.steps, dense.steps),
            times(line.all.flops_remaining, dense.flops_dense),
        )
        for line in every
    ]


def dense_cost(records: Iterable[Record], every: Iterable[Line]) -> Spending:
    """Return what the dense network's one training costs; all unknown if it isn't finished.

    Args:
        records: The study's finished runs.
        every: The lines of its ledger.
    """
    main = main_arm(records)
    return next((line.own for line in every if (line.arm, line.round) == (main, 0)), UNKNOWN)


def times(cost: float | None, of: float | None) -> float | None:
    """Return a cost as a multiple of another; None if one of them isn't known, or the other is 0."""
    return None if cost is None or not of else cost / of


def _weights(record: Record) -> float:
    return record.weights_remaining


def _test_accuracy(record: Record) -> float:
    return record.early_stop_test_accuracy
