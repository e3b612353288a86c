"""The store of a worker that isn't the chief: it reads the study and writes nothing there."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tf_lottery import steps
from tf_lottery.config import StorageConfig
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import RunPaths, StudyPaths
from tf_lottery.store import failures
from tf_lottery.store.failures import Failure
from tf_lottery.store.store import Store

if TYPE_CHECKING:
    from tf_lottery.training.checkpoint import Checkpoint

PATIENCE_SECONDS = 600
# The chief writes the study's file just before, so only another directory can be the reason for waiting.
STUDY_PATIENCE_SECONDS = 60
Result = TypeVar("Result")


class FollowerStore(Store):
    """Reads what the chief wrote.

    This worker's own files are kept in a temporary directory until the chief's exist, and compared with them.

    Args:
        paths: The study's paths, on a file system that all workers see.
    """

    writes = False

    def __init__(self, paths: StudyPaths):
        super().__init__(paths, StorageConfig(checkpoint_every=steps.NEVER))
        self._scratch = tempfile.TemporaryDirectory(prefix="tf_lottery_")

    def write_study(self, text: str) -> None:
        """Wait until the chief has written the study's file.

        Raises:
            StudyError: If this worker can't see the file.
        """
        self._await(self.paths.study.exists, self.paths.study, STUDY_PATIENCE_SECONDS)

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Leave claiming runs to the chief."""
        return contextlib.nullcontext(True)

    def checkpoint(self, key: str, noted: Callable[[str], None]) -> "Checkpoint | None":
        """Return the checkpoint from which the chief resumes the run. The chief sets a damaged one aside."""
        from tf_lottery.training.checkpoint import Checkpoint

        try:
            return Checkpoint.load(self.paths.run(key).checkpoint)
        except (LotteryError, KeyError, ValueError, TypeError):
            return None

    def set_aside(self, error: DamagedError) -> None:
        """Leave setting files aside to the chief.

        Raises:
            StudyError: Always, so that all workers start again once the chief has done it.
        """
        raise StudyError(f"{error} Worker 0, the chief, sets it aside. Repeat the command on all workers.")

    def fail(self, spec: RunSpec, cause: Exception | str) -> Failure:
        """Return the failure of a run. The chief meets it, too, and records it."""
        return failures.describe(spec, cause)

    def begin(self, key: str, go_on: bool = False) -> RunPaths:
        """Return an empty directory for a run, within the temporary directory."""
        root = Path(self._scratch.name) / key
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        return RunPaths(root)

    def finish(self, record: Record) -> Record:
        """Wait for the chief's record of the run and return it.

        Raises:
            StudyError: If the record doesn't appear, or its weights or masks differ.
        """
        shutil.rmtree(Path(self._scratch.name) / record.key, ignore_errors=True)
        file = self.paths.run(record.key).record
        theirs = self._await(lambda: self._read(file), file, PATIENCE_SECONDS)
        differing = [name for name, value in record.digests.items() if theirs.digests.get(name) != value]
        if differing:
            raise StudyError(
                f"{differing[0]} of {record.spec.describe()} differs from the chief's. "
                "All workers must hold the same state."
            )
        return theirs

    def _await(self, look: Callable[[], Result], path: Path, seconds: float) -> Result:
        deadline = time.monotonic() + seconds
        while not (result := look()):
            if time.monotonic() > deadline:
                raise StudyError(
                    f"The chief hasn't written {path} within {seconds} s. Check that all workers see "
                    f"{self.paths.root}."
                )
            time.sleep(0.05)
        return result
