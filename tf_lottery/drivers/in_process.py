"""The executor that trains a study's runs one after the other in this process."""

from tf_lottery import terminal
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.observe import Progress, StudyObserver
from tf_lottery.runs.observers import training_observer
from tf_lottery.runs.outcome import Outcome
from tf_lottery.store.store import Store


class InProcess:
    """Trains one run after the other in this process, as an `Executor` does.

    Args:
        store: The store that holds the study's runs.
        observer: The observer that also hears of steps and evaluations.
        strict_environment: Whether to refuse to build on runs of another environment.
    """

    slots, here = 1, True

    def __init__(self, store: Store, observer: StudyObserver, strict_environment: bool = False):
        self._store, self._strict = store, strict_environment
        self._observer = training_observer(store, _Here(observer))
        self._trainers = None
        self._spec: RunSpec | None = None

    def check(self, study: StudyConfig) -> None:
        from tf_lottery.runs.attempt import check

        try:
            if (wrong := check(study, self._store, self._opened())) is not None:
                raise LotteryError(wrong)
        finally:
            terminal.check_signals()

    def submit(self, spec: RunSpec) -> None:
        self._spec = spec

    def wait(self, seconds: float) -> list[Outcome]:
        from tf_lottery.runs.attempt import attempt

        spec, self._spec = self._spec, None
        if spec is None:
            return []
        try:
            return [attempt(spec, self._store, self._opened(), self._observer, self._strict)]
        finally:
            terminal.check_signals()

    def close(self) -> None:
        self._trainers = None

    def _opened(self):
        from tf_lottery.runs.trainers import Trainers

        self._trainers = self._trainers or Trainers()
        return self._trainers


class _Here(StudyObserver):
    """Passes on what this process trains, and reports it as the run in progress, too."""

    def __init__(self, observer: StudyObserver):
        self.noted, self.evaluated = observer.noted, observer.evaluated
        self._observer = observer

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        self._run = spec, first, last
        self._observer.started(spec, first, last)
        self.advanced(first)

    def advanced(self, step: int) -> None:
        terminal.check_signals()
        spec, first, last = self._run
        self._observer.advanced(step)
        self._observer.running([Progress(spec, first, step, last)])
