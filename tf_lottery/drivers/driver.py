"""The loop that drives a study or a search: ask the planner, have runs trained, until nothing is left.

There is no other such loop, whoever trains. Several drivers may share a study: the process that holds a run's
lock trains it, and the others take another run.
"""

import contextlib
import time
from collections import Counter
from contextlib import AbstractContextManager

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.executor import Executor
from tf_lottery.drivers.work import OneStudy, Work
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.lock import held
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.runs import progress
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.outcome import Outcome
from tf_lottery.store import failures
from tf_lottery.store.adopt import Elsewhere
from tf_lottery.store.environment import check_same
from tf_lottery.store.failures import Failure
from tf_lottery.store.store import Store

ATTEMPTS = 3
"""How many times a run is tried if its worker is lost each time."""
POLL_SECONDS = 0.5
SCAN_SECONDS = 2.0
"""After this time the store is read again, even if none of this driver's runs has ended."""
BUSY_SECONDS = 1.0
"""After this time a run that another process is training is tried again."""


class Driver:
    """Drives one study once, or other work that is planned like one.

    Args:
        study: The study, with its data's digest; or other work.
        store: The store that holds the study's runs.
        executor: The executor that trains the runs.
        observer: The observer that hears of the study's progress.
        execution: How to train, and which part of the study this driver is to train.
    """

    def __init__(
        self,
        study: StudyConfig | Work,
        store: Store,
        executor: Executor,
        observer: StudyObserver,
        execution: Execution,
    ):
        self.work: Work = OneStudy(study) if isinstance(study, StudyConfig) else study
        self.store, self.executor = store, executor
        self.observer, self.execution = observer, execution
        self.elsewhere = Elsewhere(store, execution.strict_environment)
        self.failed: dict[str, Failure] = {}
        self._training: dict[str, RunSpec] = {}
        self._busy: dict[str, float] = {}
        self._lost: Counter[tuple] = Counter()
        self._checked = False
        self._looked_last = False
        self._announced: tuple | None = None
        self._scanned: tuple[float, list[Record]] | None = None
        self._planned: tuple[set, list[RunSpec]] = set(), []

    def run(self) -> list[Record]:
        """Drive the study until no run is left that this driver could train.

        Returns:
            The records of all finished runs in the store.

        Raises:
            LotteryError: If the study doesn't fit its data or its network, or nothing can be written.
        """
        if self.execution.strict_environment:
            check_same(self.work.collect(self._records()))
        if self.execution.retry_failed and self.store.writes:
            for spec in self.work.plan(self._records()):
                failures.forgive(self.store.paths, spec.key)
        self._tidy()
        try:
            with self._at_work():
                while self._goes_on():
                    pass
        finally:
            self.executor.close()
        return self._records()

    def _goes_on(self) -> bool:
        """Start the runs that can start and wait for one to end; return False when nothing is left."""
        try:
            if self._scanned is None or time.monotonic() - self._scanned[0] > SCAN_SECONDS:
                self._scanned = time.monotonic(), self._records()
            records = self._scanned[1]
            waiting = self._waiting(records)
            self._tell(records, waiting)
            if waiting and self._adopt(waiting):
                self._scanned = None
                return True
            self._begin(waiting)
            if self._training:
                self._looked_last = False
            outcomes = self._wait() if self._training else []
            ended = [(self._training.pop(outcome.key), outcome) for outcome in outcomes]
            for spec, outcome in ended:
                self._scanned = None
                self._ended(spec, outcome)
            if not self._training and not outcomes:
                return self._await_others(waiting)
        except DamagedError as error:
            self._set_aside(error)
        return True

    def _wait(self) -> list[Outcome]:
        try:
            return self.executor.wait(POLL_SECONDS)
        except DamagedError as error:  # the run would be unknown, and its slot taken for ever
            raise RuntimeError("an executor raised instead of returning: please report this") from error

    def _tidy(self) -> None:
        """Delete the temporary files of finished runs, left by a process that was killed after the record."""
        for record in self._records() if self.store.writes else []:
            run = self.store.paths.run(record.key)
            if any(path.exists() for path in (run.checkpoint, run.progress, run.failed)):
                with self.store.claim(record.key) as claimed:
                    if claimed:
                        self.store.tidy(run)

    def _records(self) -> list[Record]:
        while True:
            try:
                return self.store.records()
            except DamagedError as error:
                self._set_aside(error)

    def _waiting(self, records: list[Record]) -> list[RunSpec]:
        """Return the runs that can start, except failed ones; those that others wait for come first."""
        waiting = []
        finished = {(record.key, record.spec.snapshots) for record in records}
        if finished != self._planned[0] or not finished:
            self._planned = finished, self.work.plan(records)
        for spec in self._planned[1]:
            if spec.key not in self.failed and (failure := self._failure(spec)):
                self.failed[spec.key] = failure
                self.observer.failed(failure)
            if spec.key not in self.failed:
                waiting.append(spec)
        if self.executor.slots > 1:
            waiting.sort(key=lambda spec: not self.work.goes_first(spec))
        return waiting

    def _failure(self, spec: RunSpec) -> Failure | None:
        if self.execution.retry_failed and not self.store.writes:
            return None  # the chief may not have deleted it yet
        return failures.find(self.store.paths, spec.key)

    def _tell(self, records: list[Record], waiting: list[RunSpec]) -> None:
        keys = {record.key for record in records}, {spec.key for spec in waiting}
        if keys != self._announced:
            self._announced = keys
            self.work.trim(self.store, records)
            self.observer.planned(self.work.collect(records), waiting)
        watched = [spec for spec in waiting if spec.key in self._busy]
        if not self.executor.here:
            watched += self._training.values()
        if watched:
            self.observer.running(progress.read(self.store.paths, watched))

    def _adopt(self, waiting: list[RunSpec]) -> bool:
        """Take over runs that neighbouring studies have trained; return whether there were any."""
        new = [spec for spec in waiting if spec.key not in self._training]
        adopted = [self.elsewhere.adopt(spec, self.observer.noted) for spec in new]
        return any(adopted)

    def _begin(self, waiting: list[RunSpec]) -> None:
        now = time.monotonic()
        for spec in waiting:
            if len(self._training) >= self.executor.slots:
                return
            can_start = self.execution.ours(spec) and spec.key not in self._training
            if not can_start or now - self._busy.get(spec.key, -BUSY_SECONDS) < BUSY_SECONDS:
                continue
            if not self._checked:
                self.work.check(self.executor)
                self._checked = True
                self.work.begin(self.store)
                self._planned = set(), []  # work may have dropped what doesn't fit
                if self._scanned is not None:
                    self._begin(self._waiting(self._scanned[1]))
                return
            self._training[spec.key] = spec
            self.executor.submit(spec)

    def _ended(self, spec: RunSpec, outcome: Outcome) -> None:
        self._busy.pop(outcome.key, None)
        if outcome.kind == "finished" and not outcome.detail:
            self.observer.finished(self.store.record(spec.key))
        elif outcome.kind == "busy":
            self._busy[outcome.key] = time.monotonic()
        elif outcome.kind == "ended":
            raise LotteryError(outcome.detail)
        elif outcome.kind == "damaged":
            self._set_aside(outcome.damage())
        elif outcome.kind == "lost":
            self._retry(spec, outcome.detail)
        elif outcome.kind == "failed" and not self.store.writes:
            self.failed[spec.key] = failures.describe(spec, outcome.detail)

    def _retry(self, spec: RunSpec, reason: str) -> None:
        # Progress resets the count, since a run that takes days may lose many workers.
        progress_made = spec.key, self._checkpoint_time(spec)
        self._lost[progress_made] += 1
        if self._lost[progress_made] < ATTEMPTS:
            self.observer.noted(f"{spec.describe()}: {reason}; it is tried again")
        else:
            self.store.fail(spec, f"{reason}; {ATTEMPTS - 1} earlier attempts lost their workers, too")

    def _checkpoint_time(self, spec: RunSpec) -> int:
        """Return when the run's last checkpoint was made, 0 if there is none."""
        with contextlib.suppress(FileNotFoundError):
            return self.store.paths.run(spec.key).checkpoint.stat().st_mtime_ns
        return 0

    def _set_aside(self, error: DamagedError) -> None:
        self._scanned = None
        new_path = self.store.set_aside(error)
        if new_path is None:
            time.sleep(POLL_SECONDS)  # another process is setting it aside
        else:
            self.observer.noted(f"{error} Set aside as {new_path}; the run is trained again.")

    def _await_others(self, waiting: list[RunSpec]) -> bool:
        """Return whether to look again later: another process trains what we or a stop rule need."""
        needed = any(self.execution.ours(spec) for spec in waiting)
        if not needed and self.work.ends_together():
            needed = any(self._is_coming(spec) for spec in waiting)
        if not needed and self._looked_last:
            return False
        # A process that ended just now may have finished what is needed: look once more before leaving.
        self._looked_last = not needed
        if needed:
            time.sleep(POLL_SECONDS)
        self._scanned = None
        return True

    def _at_work(self) -> AbstractContextManager:
        """Hold this shard's lock, by which other shards see that it is at work."""
        shard = self.execution.shard
        if not shard or not self.store.writes:
            return contextlib.nullcontext()
        return held(self.store.paths.shard_lock(shard), patience=2)  # others may hold it for a moment to look

    def _is_coming(self, spec: RunSpec) -> bool:
        """Return whether the shard that a run belongs to is at work."""
        with held(self.store.paths.shard_lock(self.execution.shard_of(spec))) as free:
            return not free
