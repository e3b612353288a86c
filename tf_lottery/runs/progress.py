"""The progress of current runs, in a file in each run's directory, for anyone who watches.

Whatever trains a run (this process, a worker, a cluster's node, another command) writes the file in the same
way. Nothing depends on it, so a full disk only means that it isn't updated.
"""

import contextlib
import json
import os
import time

from tf_lottery.method.spec import RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import Progress, StudyObserver

INTERVAL_SECONDS = 0.5


class Heartbeat(StudyObserver):
    """Writes the progress of the runs that this process trains."""

    def __init__(self, paths: StudyPaths):
        self._paths = paths

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Begin a run's file."""
        self._file, self._first, self._last = self._paths.run(spec.key).progress, first, last
        self._when = 0.0
        self.advanced(first)

    def advanced(self, step: int) -> None:
        """Write the step, at most twice a second."""
        if time.monotonic() - self._when < INTERVAL_SECONDS:
            return
        self._when = time.monotonic()
        temporary = self._file.with_name(".progress")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps([self._first, step, self._last]))
            os.replace(temporary, self._file)


def read(paths: StudyPaths, specs: list[RunSpec]) -> list[Progress]:
    """Return the progress of the runs that have written it."""
    progress = []
    for spec in specs:
        with contextlib.suppress(OSError, ValueError, TypeError):
            first, step, last = json.loads(paths.run(spec.key).progress.read_text())
            progress.append(Progress(spec, first, step, last))
    return progress
