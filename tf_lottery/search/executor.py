"""The executor of a search, which trains runs one after the other with `fit` or the compiled loop."""

from tf_lottery.config import StudyConfig
from tf_lottery.errors import DamagedError
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.outcome import Outcome
from tf_lottery.search.fit_run import FitRun


class SearchExecutor:
    """The `Executor` of a search. A failure ends the search: it isn't recorded, and its error is raised.

    Args:
        run: The object that trains runs.

    Attributes:
        spec: The run that was submitted last; None before the first.
    """

    slots, here = 1, True

    def __init__(self, run: FitRun):
        self._run, self._waiting = run, False
        self.spec: RunSpec | None = None

    def check(self, study: StudyConfig) -> None:
        """Do nothing, since the search has checked its model before it wrote the directory."""

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
        """Do nothing, since no run is left in progress."""
