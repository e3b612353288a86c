"""The study's log, which tells later what happened and when."""

import contextlib
import time

from tf_lottery.method.spec import Record
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.failures import Failure


class Log(StudyObserver):
    """Appends a line for each event, or silently none if the disk is full."""

    def __init__(self, paths: StudyPaths):
        self._file = paths.log

    def finished(self, record: Record) -> None:
        """Log that a run is finished."""
        self._write(
            f"{record.spec.describe()} finished in {record.seconds['total']:.1f} s ({record.key[:16]})"
        )

    def failed(self, failure: Failure) -> None:
        """Log that a run failed, and why."""
        self._write(failure.describe())

    def noted(self, text: str) -> None:
        """Log a message about something unusual."""
        self._write(text)

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError), self._file.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
