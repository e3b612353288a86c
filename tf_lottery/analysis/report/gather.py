"""What a report is about: a study's finished runs, and what is missing, failed or damaged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tf_lottery.analysis.connectivity import Connection, known
from tf_lottery.analysis.findings import Findings
from tf_lottery.config import StudyConfig
from tf_lottery.errors import DamagedError
from tf_lottery.method.plan import collect, foreseen, plan
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record
from tf_lottery.paths import StudyPaths
from tf_lottery.store import failures
from tf_lottery.store.failures import Failure
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load

Value = TypeVar("Value")


@dataclass
class Material:
    """A study as its directory holds it.

    Attributes:
        study: The study.
        store: The store that holds its runs.
        records: Its finished runs, as `collect` returns them; damaged ones are left out.
        left: How many runs are still to be trained, those that failed aside; None if nobody can know.
        ready: How many of them can start now.
        failed: The runs that failed and will not be retried.
        damaged: What can't be read, a line each. It grows while a report reads further files.
    """

    study: StudyConfig
    store: Store
    records: list[Record]
    left: int | None
    ready: int
    failed: list[Failure]
    connections: list[Connection]
    damaged: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.results: Results[Record] = Results(self.records)
        self.findings = Findings(self.study, self.records, self.connections)
        self._read: dict[tuple[str, str], object] = {}

    @property
    def paths(self) -> StudyPaths:
        """The paths of the study."""
        return self.store.paths

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train, and nothing that was trained is damaged."""
        return self.ready == 0

    @property
    def main(self) -> str:
        """The arm whose tickets are meant where none is named."""
        return self.results.main

    @property
    def best(self) -> int | None:
        """The sparsest matching round of a finished study; None if there is none, or some run is missing."""
        return self.results.matching_round(self.study.tolerance) if self.finished else None

    def read(self, kind: str, record: Record, reader: Callable[[str], Value]) -> Value | None:
        """Return what a file of a run holds; None if it is damaged, which is noted once.

        Args:
            kind: What the file is, such as `curves`.
            record: The run's record.
            reader: A method of the store that takes the run's key.
        """
        if (kind, record.key) not in self._read:
            try:
                self._read[kind, record.key] = reader(record.key)
            except DamagedError as error:
                self.damaged.append(f"{record.spec.describe()}: {error}")
                self._read[kind, record.key] = None
        return self._read[kind, record.key]


def gather(paths: StudyPaths) -> Material:
    """Return a study with all of its finished runs that can be read.

    Args:
        paths: The paths of the study.

    Raises:
        LotteryError: If there is no study, or its own file is damaged.
    """
    study = load(paths)
    store = Store(paths, study.storage)
    every, damaged = [], []
    for name in store.names():
        try:
            record = store.find(name)
        except DamagedError as error:
            damaged.append(str(error))
        else:
            every += [] if record is None else [record]
    records = collect(study, every)
    waiting = plan(study, every)
    failed = [failure for spec in waiting if (failure := failures.find(paths, spec.key))]
    return Material(
        study,
        store,
        records,
        _left(study, records, len(waiting), len(failed)),
        len(waiting) - len(failed),
        failed,
        known(study, store, records),
        damaged,
    )


def _left(study: StudyConfig, records: list[Record], waiting: int, failed: int) -> int | None:
    if not waiting:
        return 0
    specs = foreseen(study)
    if specs is None:
        return None
    return len({spec.key for spec in specs} - {record.key for record in records}) - failed
