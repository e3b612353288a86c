"""Linear mode connectivity: are two trainings from one start, in two orders of the examples, connected?

Frankle, Dziugaite, Roy & Carbin 2020 (Linear Mode Connectivity and the Lottery Ticket Hypothesis). The last
weights of both are joined by a straight line. Where the error rises on it by less than two points, a network
is stable to the noise of SGD from its start on. An arm `fork` trains such runs.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tf_lottery.analysis.connectivity_file import Errors, Measured
from tf_lottery.analysis.forks import Pair, pairs, pairs_to_compare
from tf_lottery.analysis.interpolation import POINTS, UNSTABLE, barrier
from tf_lottery.analysis.stored import check_functions, check_kept
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.store.store import Store
from tf_lottery.training.quiet_start import start_quietly

if TYPE_CHECKING:
    from tf_lottery.runs.trainers import Trainers

BATCHES = 50
"""The training batches that statistics of batch normalization are recalibrated on, at most an epoch's."""


@dataclass(frozen=True)
class Connection:
    """What lies between two trainings from one start. Errors and barriers are in percent and points.

    Attributes:
        arm: The fork.
        on: The arm that it forks.
        replicate: Which replicate.
        round: Which round; 0 is the dense network.
        density: The fraction of prunable weights that remain.
        start: The rewind point that both start from; `trained` for weights that were trained before.
        pair: The names of both runs.
        errors: `validation`, `test` and, with batch normalization, `validation_recalibrated` and
            `test_recalibrated` -> the errors on the line, one a point.
    """

    arm: str
    on: str
    replicate: int
    round: int
    density: float
    start: str
    pair: tuple[str, str]
    errors: Errors

    def barrier(self, what: str) -> float | None:
        """Return a barrier in points, None if it isn't measured.

        Args:
            what: A key of `errors`.
        """
        return barrier(self.errors[what]) if what in self.errors else None

    @property
    def stable(self) -> bool:
        """Whether the barrier on test data is below 2 points, with all statistics as they are."""
        return self.barrier("test") < UNSTABLE

    @property
    def stable_recalibrated(self) -> bool | None:
        """The same with statistics of batch normalization recalibrated; None if there are none."""
        found = self.barrier("test_recalibrated")
        return None if found is None else found < UNSTABLE

    def row(self) -> dict[str, Any]:
        """Return it as `connectivity --json` prints it; None stands for what there isn't."""
        kinds = ("validation", "test", "validation_recalibrated", "test_recalibrated")
        barriers = {f"barrier_{what}": self.barrier(what) for what in kinds}
        row = asdict(self)
        errors = row.pop("errors")
        told = {"stable": self.stable, "stable_recalibrated": self.stable_recalibrated}
        return row | {"points": len(errors["test"])} | barriers | told | {"errors": errors}


def connectivity(
    study: StudyConfig,
    store: Store,
    trainers: "Trainers | None" = None,
    points: int = POINTS,
    batches: int = BATCHES,
    passed: Callable[[Pair, int], None] = lambda pair, point: None,
    functions: Collection[str] | None = None,
) -> list[Connection]:
    """Return how the forks of a study are connected with what they fork, and with each other.

    What was measured before is read from the study's `connectivity.json`; what wasn't is measured and added.

    Args:
        study: The study, with its data's digest.
        store: The store that holds its runs.
        trainers: Compiled networks. Default: new ones, if anything has to be measured.
        points: The number of points of a line, both ends included.
        batches: How many training batches statistics of batch normalization are recalibrated on.
        passed: A function that is called with a pair and the number of its points that are measured.
        functions: The functions that a study of a stranger's may call, `package.module:function`. Default:
            all that it names.

    Returns:
        A row for each pair, by arm, replicate and round.

    Raises:
        LotteryError: If the study has no fork, none is finished, last weights weren't kept, or the study
            names a function that it may not call.
        DamagedError: If a file of a run fails its checksum.
    """
    if points < 3 or batches < 1:
        raise LotteryError(
            f"Expected at least 3 points and one batch. Received: {points} points, {batches} batches"
        )
    records = collect(study, store.records())
    found, measured = pairs_to_compare(study, records), Measured(store.paths, points, batches)
    keys_of = {(pair.first.key, pair.second.key): pair for pair in found}  # arms may share runs
    missing = [pair for runs, pair in keys_of.items() if measured.find(*runs) is None]
    for pair in missing:
        check_kept(store, (pair.first, pair.second))
        check_functions(pair.second, functions)
    if missing:
        start_quietly()
        from tf_lottery.analysis.line import LineMeter
        from tf_lottery.runs.trainers import Trainers

        meter, keys = LineMeter(store, trainers or Trainers(), points, batches), {r.key for r in records}
        for pair in missing:
            errors = meter.errors(pair.first, pair.second, partial(passed, pair))
            measured.keep(pair.first.key, pair.second.key, errors, keys)
    return list(_connections(found, measured))


def known(study: StudyConfig, store: Store, records: Iterable[Record]) -> list[Connection]:
    """Return the connections that were measured before, on the usual number of points.

    Args:
        study: The study.
        store: The store that holds its runs.
        records: Its records, as `collect` returns them.
    """
    return list(_connections(pairs(study, records), Measured(store.paths, POINTS, BATCHES)))


def _connections(found: Iterable[Pair], measured: Measured) -> Iterator[Connection]:
    for pair in found:
        errors = measured.find(pair.first.key, pair.second.key)
        if errors is not None:
            spec = pair.second
            yield Connection(
                pair.arm, pair.on, spec.replicate, spec.round, pair.density, _start(spec), pair.names, errors
            )


def _start(spec: RunSpec) -> str:
    if spec.start == "trained":
        return "trained"
    return spec.begins.to if spec.begins else "0it"
