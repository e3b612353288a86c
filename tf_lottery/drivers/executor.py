"""What the driver requires of an executor: worker processes, a cluster, this process, a search's `fit`."""

from typing import Protocol

from tf_lottery.config import StudyConfig
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.outcome import Outcome


class Executor(Protocol):
    """Trains the runs that a driver submits.

    Attributes:
        slots: How many runs are trained at once.
        here: Whether this process itself trains and tells the observer of its progress.
    """

    @property
    def slots(self) -> int: ...

    @property
    def here(self) -> bool: ...

    def check(self, study: StudyConfig) -> None:
        """Check that a study fits its data and its network; raise a LotteryError if it doesn't."""

    def submit(self, spec: RunSpec) -> None:
        """Start a run. At most `slots` runs are submitted at once."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Return how runs have ended, after waiting at most `seconds` for one to end.

        A damaged file is an outcome, too. Any error that is raised ends the study.
        """

    def close(self) -> None:
        """Stop the runs that are still being trained."""
