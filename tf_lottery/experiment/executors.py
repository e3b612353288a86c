"""Who trains runs: what the driver asks of an executor, and the one that trains in this process.

All executors make the same `attempt`; the driver asks the planner what comes next.
"""

from typing import Protocol

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.observe import Progress, Several, StudyObserver
from tf_lottery.experiment.outcome import Outcome
from tf_lottery.experiment.progress import Heartbeat
from tf_lottery.experiment.spec import RunSpec
from tf_lottery.experiment.store import Store


class Executor(Protocol):
    """What the driver asks of whoever trains.

    Attributes:
        slots: how many runs are trained at once.
        here: whether it is this process that trains, and tells the observer how far it is.
    """

    slots: int
    here: bool

    def check(self, study: StudyConfig) -> None:
        """Check that a study fits its data and its network; raises LotteryError."""

    def submit(self, spec: RunSpec) -> None:
        """Begin a run; at most `slots` at once."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Return the runs that have ended, after waiting for one for so long at most."""

    def close(self) -> None:
        """End what is running."""


class InProcess:
    """Trains one run after the other, in this process.

    Args:
        store: of the study.
        observer: hears of steps and evaluations too.
        strict_environment: as of `attempt`.
    """

    slots, here = 1, True

    def __init__(self, store: Store, observer: StudyObserver, strict_environment: bool = False):
        self._store, self._strict = store, strict_environment
        self._observer = training_observer(store, _Here(observer))
        self._bench = None
        self._spec: RunSpec | None = None

    def check(self, study: StudyConfig) -> None:
        from tf_lottery.experiment.attempt import check

        if (wrong := check(study, self._store, self._opened())) is not None:
            raise LotteryError(wrong)

    def submit(self, spec: RunSpec) -> None:
        self._spec = spec

    def wait(self, seconds: float) -> list[Outcome]:
        from tf_lottery.experiment.attempt import attempt

        spec, self._spec = self._spec, None
        if spec is None:
            return []
        return [attempt(spec, self._store, self._opened(), self._observer, self._strict)]

    def close(self) -> None:
        self._bench = None

    def _opened(self):
        from tf_lottery.experiment.bench import Bench

        self._bench = self._bench or Bench()
        return self._bench


def training_observer(store: Store, observer: StudyObserver) -> StudyObserver:
    """Return who watches what this process trains: `observer`, the run's progress, its curves.

    Only the process that writes the store tells.
    """
    from tf_lottery.experiment.curves import RunCurves

    if not store.writes:
        return observer
    return Several(observer, Heartbeat(store.paths), RunCurves(store.paths))


class _Here(StudyObserver):
    """Tells an observer of what this process trains, also as the run in progress."""

    def __init__(self, observer: StudyObserver):
        self.noted, self.evaluated = observer.noted, observer.evaluated
        self._observer = observer

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        self._run = spec, first, last
        self._observer.started(spec, first, last)
        self.advanced(first)

    def advanced(self, step: int) -> None:
        spec, first, last = self._run
        self._observer.advanced(step)
        self._observer.running([Progress(spec, first, step, last)])
