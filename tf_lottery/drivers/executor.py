"""What the driver asks of whoever trains: processes, a cluster, this process, a search's `fit`."""

from typing import Protocol

from tf_lottery.config import StudyConfig
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.outcome import Outcome


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
