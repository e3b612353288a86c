"""What the driver asks of whoever trains: processes, a cluster, this process, a search's `fit`."""

from typing import Protocol

from tf_lottery.config import StudyConfig
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.outcome import Outcome


class Executor(Protocol):
    """What the driver asks of whoever trains.

    Attributes:
        slots: How many runs are trained at once.
        here: Whether it is this process that trains, and tells the observer how far it is.
    """

    slots: int
    here: bool

    def check(self, study: StudyConfig) -> None:
        """Check that a study fits its data and its network; raise a LotteryError if it doesn't."""

    def submit(self, spec: RunSpec) -> None:
        """Begin a run. At most `slots` are given at once."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Return how runs have ended, after waiting for one for at most so long.

        A damaged file is an outcome as well. Whatever is raised ends the study.
        """

    def close(self) -> None:
        """End whatever is running."""
