"""Summaries of records by arm and round: means and ranges over replicates."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean

from tf_lottery.method.matching import by_round
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record


@dataclass(frozen=True)
class Spread:
    """The mean, minimum and maximum over replicates, whose trials are averaged first."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """The summary of one arm at one round."""

    arm: str
    round: int
    replicates: int
    density: float
    test_accuracy: Spread
    """The test accuracy at early stop, a fraction."""
    validation_accuracy: Spread
    """The validation accuracy at early stop, a fraction."""
    iteration: Spread
    """The step of early stop."""


def summarize(records: Iterable[Record]) -> dict[str, dict[int, Summary]]:
    """Return arm -> round -> summary, with the dense network of the arm's data as round 0."""
    results = Results(records)
    return {arm: _of_arm(results.of_arm(arm)) for arm in results.arms}


def _of_arm(records: list[Record]) -> dict[int, Summary]:
    def spread(value: Callable[[Record], float]) -> dict[int, Spread]:
        return {
            round: Spread(mean(values), min(values), max(values))
            for round, values in by_round(records, value).items()
        }

    arms = {record.spec.round: record.spec.arm for record in records}
    densities = by_round(records, lambda record: record.density)
    test = spread(lambda record: record.early_stop_test_accuracy)
    validation = spread(lambda record: record.early_stop_validation_accuracy)
    iteration = spread(lambda record: record.early_stop_iteration)
    return {
        round: Summary(
            arms[round], round, len(values), mean(values), test[round], validation[round], iteration[round]
        )
        for round, values in densities.items()
    }
