"""Which finished runs of a study were trained from one start, in two orders of the examples."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import function_name
from tf_lottery.method.spec import LABELS, Record, RunSpec


@dataclass(frozen=True)
class Pair:
    """Two finished runs that differ in the order of the examples only.

    Attributes:
        arm: The fork.
        on: The arm that it forks.
        first: The run of the arm that is forked, or another trial of the fork.
        second: The run of the fork.
        density: The fraction of prunable weights that remain.
    """

    arm: str
    on: str
    first: RunSpec
    second: RunSpec
    density: float

    @property
    def names(self) -> tuple[str, str]:
        """The names of both runs, with the numbers of later trials: `ticket`, `fork#2`."""
        first, second = (
            spec.arm + (f"#{spec.trial + 1}" if spec.trial else "") for spec in (self.first, self.second)
        )
        return first, second

    def describe(self) -> str:
        """Describe the pair in words."""
        spec = self.second
        return f"{' and '.join(self.names)} replicate {spec.replicate} round {spec.round}"


def forks(study: StudyConfig) -> list[str]:
    """Return the arms of a study that are forks."""
    return [arm for arm in study.arms if function_name(study, arm) == "fork"]


def pairs(study: StudyConfig, records: Iterable[Record]) -> list[Pair]:
    """Return the pairs of finished runs that differ in the order of the examples only.

    Args:
        study: The study.
        records: Its records, as `collect` returns them.
    """
    records = list(records)
    return [pair for arm in forks(study) for pair in _pairs_of(arm, study.arms[arm].on, records)]


def _pairs_of(arm: str, on: str, records: Sequence[Record]) -> Iterator[Pair]:
    places: dict[tuple[int, int], list[Record]] = {}
    for record in records:
        if record.spec.arm == arm:
            places.setdefault((record.spec.replicate, record.spec.round), []).append(record)
    for (replicate, round), trials in sorted(places.items()):
        forked = [
            record
            for record in records
            if (record.key == trials[0].spec.root if round == 0 else record.spec.arm == on)
            and (record.spec.replicate, record.spec.round, record.spec.trial) == (replicate, round, 0)
            and _differ_in_order(record, trials[0])
        ]
        for first, second in combinations([*forked[:1], *trials], 2):
            yield Pair(arm, on, first.spec, second.spec, second.density)


def _differ_in_order(forked: Record, fork: Record) -> bool:
    """Return whether a fork differs from the run that it forks in the order of the examples only."""
    if fork.spec.round == 0:  # which starts from the state that the dense run had at the rewind point
        return forked.last_step == fork.last_step
    order = {"order_seed", "snapshots", *LABELS}
    return forked.spec.model_dump(exclude=order) == fork.spec.model_dump(exclude=order)


def pairs_to_compare(study: StudyConfig, records: Sequence[Record]) -> list[Pair]:
    """Return the pairs of a study.

    Args:
        study: The study.
        records: Its records, as `collect` returns them.

    Raises:
        LotteryError: If it has none.
    """
    found = pairs(study, records)
    if found:
        return found
    arms = forks(study)
    if not arms:
        raise LotteryError(
            f"Study {study.name} has no run that is trained twice from one start. Add arms: {{ticket: {{}}, "
            "fork: {rounds: [0, 3]}} to its YAML and run it again; round 0 is the dense network."
        )
    if not any(record.spec.arm in arms for record in records):
        raise LotteryError(
            f"No run of {' or '.join(arms)} is finished. Let the study go on with `tf-lottery run`."
        )
    raise LotteryError(
        f"The runs of {' and '.join(arms)} differ from those that they fork in more than the order of the "
        f"examples. Give arm {arms[0]!r} trials: 2, which are compared with each other."
    )
