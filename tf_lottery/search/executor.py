"""Trains the runs of a search for the driver, with `fit` or the compiled loop, one after the other."""

from tf_lottery.config import StudyConfig
from tf_lottery.errors import DamagedError
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.outcome import Outcome
from tf_lottery.search.fit_run import FitRun


class SearchExecutor:
    """An `Executor` of a search. What fails ends the search: nothing is recorded, and the error is raised.

    Args:
        run: What trains a run.

    Attributes:
        spec: The run that was begun last.
    """

    slots, here = 1, True

    def __init__(self, run: FitRun):
        self._run, self._waiting = run, False
        self.spec: RunSpec | None = None

    def check(self, study: StudyConfig) -> None:
        """Do nothing: the search has checked its model before the directory was written."""

    def submit(self, spec: RunSpec) -> None:
        """Take a run, which `wait` trains."""
        self.spec, self._waiting = spec, True

    def wait(self, seconds: float) -> list[Outcome]:
        """Train the run that was submitted."""
        if not self._waiting:
            return []
        self._waiting = False
        try:
            if self.spec.root is not None:
                self._run.learn(self._run.store.record(self.spec.root))
            self._run.run(self.spec)
        except DamagedError as error:
            return [Outcome(self.spec.key, "damaged", str(error), error.key, str(error.path))]
        return [Outcome(self.spec.key, "finished")]

    def close(self) -> None:
        """Do nothing."""
