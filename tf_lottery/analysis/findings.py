"""A study's finished runs as claims read them: which arms there are, and their runs paired by replicate."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import mean

from tf_lottery.analysis.connectivity import Connection
from tf_lottery.analysis.statistics import Interval, interval
from tf_lottery.config import StudyConfig
from tf_lottery.method.arms import chain_below, function_name, in_full
from tf_lottery.method.matching import setting
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record

Read = Callable[[Record], float]
Estimate = Callable[[Sequence[float]], Interval]

DENSE = 0
"""The round of the dense network."""

FASTEST = 0.21
"""The density at which the article finds that tickets learn fastest (LeNet: early stop 38% earlier)."""
NEAR = 1.5
"""By which factor a round's density may differ from one that a paper names; rounds that prune half differ by
2 from each other."""

_STOPS = {"rounds", "target_density", "max_accuracy_drop"}
_DRAWN = {"criterion", "examples"}


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
        connections: What was measured between its runs.
        estimate: What is said of paired differences: the interval of their mean, or of another statistic.

    Attributes:
        study: The study.
        main: The arm whose tickets are meant where none is named.
        arms: The arms that have finished runs.
        connections: As given.
        estimate: As given.
    """

    def __init__(
        self,
        study: StudyConfig,
        records: Iterable[Record],
        connections: Sequence[Connection] = (),
        estimate: Estimate = interval,
    ):
        self.study, self._results, self.connections = study, Results(records), connections
        self.estimate = estimate
        self.main, self.arms = self._results.main, self._results.arms
        self._keys: dict[tuple[str, int], set[str]] = defaultdict(set)
        for record in self._results.records:
            self._keys[record.spec.arm, record.spec.round].add(record.key)
        self._values: dict[tuple[str, Read], dict[int, dict[int, float]]] = {}

    @property
    def records(self) -> list[Record]:
        """All records."""
        return self._results.records

    def like(self, function: str) -> list[str]:
        """Return the arms with a function that have finished pruned runs.

        Args:
            function: A line of `CHAINS` or `ARMS`.
        """
        arms = [arm for arm in self.arms if arm in self.study.arms and self.rounds(arm)]
        return [arm for arm in arms if function_name(self.study, arm) == function]

    def on(self, arm: str, function: str) -> list[str]:
        """Return the arms with a function that are on an arm and trained as it is.

        Those on a chain whose masks an arm `final` trains count as on that arm, too.

        Args:
            arm: The arm that they are on.
            function: A line of `CHAINS` or `ARMS`.
        """
        names = {arm, chain_below(self.study, arm)} if self._is_final(arm) else {arm}
        found = [other for other in self.like(function) if self.study.arms[other].on in names]
        return [other for other in found if self._alike(arm, other)]

    def tickets(self, but: str) -> list[str]:
        """Return the arms of tickets, the main one among them, that differ from it in one thing at most.

        Args:
            but: What may differ: `criterion`, or `rewind`.
        """
        every = {*self.like("ticket"), *self.like("final")}
        alike = [arm for arm in self.arms if arm in every and self._alike(self.main, arm)]
        return [arm for arm in alike if self._found_by(arm, but) == self._found_by(self.main, but)]

    def _is_final(self, arm: str) -> bool:
        return arm in self.study.arms and function_name(self.study, arm) == "final"

    def _alike(self, arm: str, other: str) -> bool:
        """Return whether the pruned runs of two arms have the same data, network and training."""
        pruned = {record.spec.arm: record.spec for record in self.records if record.spec.round > 0}
        return {arm, other} <= pruned.keys() and setting(pruned[arm]) == setting(pruned[other])

    def _found_by(self, arm: str, but: str) -> tuple:
        """Return how an arm's tickets are found, apart from what may differ and from when it ends."""
        settings = in_full(self.study, arm)
        pruning = settings.pruning.model_dump(exclude=_STOPS | (_DRAWN if but == "criterion" else set()))
        return pruning, None if but == "rewind" else settings.rewind

    def rounds(self, arm: str) -> list[int]:
        """Return an arm's rounds after the dense network that have a finished run, in order."""
        return sorted({r.spec.round for r in self._results.records if r.spec.arm == arm and r.spec.round > 0})

    def values(self, arm: str, read: Read) -> dict[int, dict[int, float]]:
        """Return round -> replicate -> value, means over trials; round 0 is the arm's dense network."""
        key = arm, read
        if key not in self._values:
            trials: dict[tuple[int, int], list[float]] = defaultdict(list)
            for record in self._results.of_arm(arm):
                trials[record.spec.round, record.spec.replicate].append(read(record))
            found: dict[int, dict[int, float]] = defaultdict(dict)
            for (round, replicate), each in sorted(trials.items()):
                found[round][replicate] = mean(each)
            self._values[key] = dict(found)
        return self._values[key]

    def has_learned(self) -> bool:
        """Return whether all dense networks are better after some steps than before the first one."""
        return 0 not in self.values(self.main, early_stop).get(DENSE, {}).values()

    def density(self, round: int, arm: str | None = None) -> float:
        """Return the density of an arm's round, the mean over replicates."""
        return mean(self.values(arm or self.main, _density)[round].values())

    def shared(self, *arms: str) -> list[int]:
        """Return the rounds at which all of some arms have pruned runs of two replicates, or else of one.

        Where the first has the same runs as another, there is nothing to compare: a ticket's first round is
        one pruning of the dense network.

        Args:
            arms: The arms.
        """
        counts = {
            round: len(set.intersection(*(set(self.values(arm, _density).get(round, ())) for arm in arms)))
            for round in self.rounds(arms[0])
            if not any(self.same_runs(arms[0], other, round, round) for other in arms[1:])
        }
        return [at for at, count in counts.items() if count > 1] or [at for at, n in counts.items() if n]

    def same_runs(self, arm: str, other: str, round: int, of_other: int) -> bool:
        """Return whether two arms share runs at a round of each: trainings that are the same have one key."""
        return bool(self._keys[arm, round] & self._keys[other, of_other])

    def matching_round(self) -> int | None:
        """Return the main arm's sparsest matching round, which validation chooses; None if none matches."""
        return self._results.matching_round(self.study.tolerance)

    def near(self, density: float) -> int | None:
        """Return the main arm's round with a density that a paper names; None if none is near it.

        Args:
            density: The density.
        """
        at = self.nearest(density, self.shared(self.main))
        return at if at is not None and _apart(self.density(at), density) <= math.log(NEAR) else None

    def round_to_compare(self, *arms: str) -> int | None:
        """Return the round at which arms are compared; None if they have none in common.

        It is that of the sparsest matching ticket, which validation chooses, but not a denser one than 21%,
        where controls can hardly differ; or the nearest round at which all of them have runs.

        Args:
            arms: The arms.
        """
        best = self.matching_round()
        density = FASTEST if best is None else min(FASTEST, self.density(best))
        return self.nearest(density, self.shared(*arms))

    def nearest(self, density: float, rounds: Iterable[int]) -> int | None:
        """Return the round whose ticket has the density nearest to one, by ratio; None if there are none.

        Args:
            density: The density.
            rounds: The rounds to choose from. Of those that are as near the densest is chosen.
        """
        known = sorted(at for at in rounds if at in self.values(self.main, _density) and self.density(at) > 0)
        return min(known, key=lambda at: round(_apart(self.density(at), density), 2), default=None)

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
        """Return what is said of paired differences, an interval; None if no replicate has both runs."""
        differences = self.paired(arm, other, read, round, of_other)
        return self.estimate(differences) if differences else None


def _apart(density: float, other: float) -> float:
    return abs(math.log(density / other))


def _density(record: Record) -> float:
    return record.density
