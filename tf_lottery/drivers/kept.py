"""An executor that several drivers use, one after another."""

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.executor import Executor
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.outcome import Outcome


class Kept:
    """Passes everything on but `close`, so that what an executor has compiled is used again.

    Args:
        executor: The executor.
    """

    def __init__(self, executor: Executor):
        self._executor = executor
        self.here = executor.here

    @property
    def slots(self) -> int:
        return self._executor.slots

    def check(self, study: StudyConfig) -> None:
        self._executor.check(study)

    def submit(self, spec: RunSpec) -> None:
        self._executor.submit(spec)

    def wait(self, seconds: float) -> list[Outcome]:
        return self._executor.wait(seconds)

    def close(self) -> None:
        """Do nothing: the next batch goes on with it."""

    def end(self) -> None:
        """Close the executor."""
        self._executor.close()
