"""A study's finished runs as claims read them: which arms there are, and their runs paired by replicate."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import mean

from tf_lottery.analysis.statistics import Interval, interval
from tf_lottery.config import StudyConfig
from tf_lottery.method.arms import function_name
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record

Read = Callable[[Record], float]

DENSE = 0
"""The round of the dense network."""

FASTEST = 0.21
"""The density at which the article finds that tickets learn fastest (LeNet: early stop 38% earlier)."""


def test_accuracy(record: Record) -> float:
    """Return the test accuracy at early stop, in percent."""
    return 100 * record.early_stop_test_accuracy


def validation_accuracy(record: Record) -> float:
    """Return the validation accuracy at early stop, in percent."""
    return 100 * record.early_stop_validation_accuracy


def early_stop(record: Record) -> float:
    """Return the step of early stop."""
    return float(record.early_stop_iteration)


def seconds_to_stop(record: Record) -> float:
    """Return the seconds of training up to early stop, without compiling and evaluating."""
    return (record.early_stop_iteration - record.first_step) / record.steps_per_second


class Findings:
    """The finished runs of one study.

    Args:
        study: The study.
        records: Its records, as `collect` returns them.

    Attributes:
        study: The study.
        main: The arm whose tickets are meant where none is named.
        arms: The arms that have finished runs.
    """

    def __init__(self, study: StudyConfig, records: Iterable[Record]):
        self.study, self._results = study, Results(records)
        self.main, self.arms = self._results.main, self._results.arms
        self._values: dict[tuple[str, str], dict[int, dict[int, float]]] = {}

    @property
    def records(self) -> list[Record]:
        """All records."""
        return self._results.records

    def like(self, function: str, on: str | None = None) -> list[str]:
        """Return the arms with a function that have finished pruned runs.

        Args:
            function: A line of `CHAINS` or `ARMS`.
            on: The arm that they are on. Default: any.
        """
        arms = [arm for arm in self.arms if arm in self.study.arms]
        found = [arm for arm in arms if function_name(self.study, arm) == function]
        found = [arm for arm in found if on is None or self.study.arms[arm].on == on]
        return [arm for arm in found if self.rounds(arm)]

    def rounds(self, arm: str) -> list[int]:
        """Return an arm's rounds after the dense network that have a finished run, in order."""
        return sorted({r.spec.round for r in self._results.records if r.spec.arm == arm and r.spec.round > 0})

    def values(self, arm: str, read: Read) -> dict[int, dict[int, float]]:
        """Return round -> replicate -> value, means over trials; round 0 is the arm's dense network."""
        key = arm, getattr(read, "__name__", repr(read))
        if key not in self._values:
            trials: dict[tuple[int, int], list[float]] = defaultdict(list)
            for record in self._results.of_arm(arm):
                trials[record.spec.round, record.spec.replicate].append(read(record))
            found: dict[int, dict[int, float]] = defaultdict(dict)
            for (round, replicate), each in sorted(trials.items()):
                found[round][replicate] = mean(each)
            self._values[key] = dict(found)
        return self._values[key]

    def density(self, round: int, arm: str | None = None) -> float:
        """Return the density of an arm's round, the mean over replicates."""
        return mean(self.values(arm or self.main, _density)[round].values())

    def nearest(self, density: float, rounds: Iterable[int]) -> int | None:
        """Return the round whose ticket has the density nearest to one, by ratio; None if there are none."""
        known = [round for round in rounds if round in self.values(self.main, _density)]
        return min(known, key=lambda at: abs(math.log(self.density(at) / density)), default=None)

    def round_to_compare(self, *arms: str) -> int | None:
        """Return the round at which arms are compared; None if they have none in common.

        It is that of the sparsest matching ticket, which validation chooses, but not a denser one than 21%,
        where controls can hardly differ; or the nearest round at which all of them have runs.
        """
        common = set.intersection(*(set(self.rounds(arm)) for arm in arms))
        best = self._results.matching_round(self.study.tolerance)
        density = FASTEST if best is None else min(FASTEST, self.density(best))
        return self.nearest(density, common)

    def paired(
        self, arm: str, other: str, read: Read, round: int, of_other: int | None = None
    ) -> list[float]:
        """Return an arm's values less another's, by replicate, for the replicates that both have.

        Args:
            arm: The arm.
            other: The other arm.
            read: A function that reads the value from a record.
            round: The arm's round.
            of_other: The other arm's round. Default: the same.
        """
        first = self.values(arm, read).get(round, {})
        second = self.values(other, read).get(round if of_other is None else of_other, {})
        return [first[each] - second[each] for each in sorted(first.keys() & second.keys())]

    def effect(
        self, arm: str, other: str, read: Read, round: int, of_other: int | None = None
    ) -> Interval | None:
        """Return the mean of paired differences and its interval; None if no replicate has both runs."""
        differences = self.paired(arm, other, read, round, of_other)
        return interval(differences) if differences else None


def _density(record: Record) -> float:
    return record.density
