"""The runs of a study on disk, named by their keys. A run is finished when it has a record.

A file is verified when it is used. If it differs from what was written, a `DamagedError` is raised;
the study's driver then sets the run aside, and the planner asks for it again.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_lottery import arrays, atomic
from tf_lottery.config import StorageConfig
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.lock import held
from tf_lottery.method.spec import Finished, Record, RunSpec
from tf_lottery.paths import RUN_NAME, RunPaths, StudyPaths
from tf_lottery.pruning.masks import Masks
from tf_lottery.store import failures, record_file
from tf_lottery.store.failures import Failure

if TYPE_CHECKING:
    from tf_lottery.training.checkpoint import Checkpoint


class Store:
    """Reads and writes a study's runs, in the chief or the only process.

    Args:
        paths: The paths of the study.
        storage: What is kept of a run, and how often. Default: `StorageConfig()`.
    """

    record_type: type[Finished] = Record
    """The class of the records that the store holds."""
    adopts = True
    """Whether it takes over runs that a neighbouring study has trained."""
    writes = True
    """Whether this process writes to the study's directory, and may share its runs with others."""

    def __init__(self, paths: StudyPaths, storage: StorageConfig | None = None):
        self.paths, self.storage = paths, storage or StorageConfig()
        self._reader: record_file.RecordReader[Any] = record_file.RecordReader(self.record_type)

    @property
    def checkpoint_every(self) -> str:
        """How often a run in progress writes a checkpoint."""
        return self.storage.checkpoint_every

    @property
    def keeps_optimizer(self) -> bool:
        """Whether a finished run keeps its optimizer's state."""
        return self.storage.keep == "all"

    def write_study(self, text: str) -> None:
        """Write the study's own file."""
        atomic.write_text(self.paths.study, text)

    def records(self) -> list[Record]:
        """Return the records of all finished runs, whichever plan they belong to.

        Raises:
            DamagedError: If a record differs from what was written.
        """
        records = map(self.find, self.names())
        return [record for record in records if record is not None]

    def names(self) -> list[str]:
        """Return the names of all runs, finished or not: the first 16 digits of their keys."""
        try:
            with os.scandir(self.paths.runs) as entries:
                return sorted(entry.name for entry in entries if RUN_NAME.fullmatch(entry.name))
        except FileNotFoundError:
            return []

    def record(self, key: str) -> Record:
        """Return one run's record.

        Raises:
            LotteryError: If the run isn't finished.
            DamagedError: If its record differs from what was written.
        """
        record = self.find(key)
        if record is None:
            raise LotteryError(f"There is no finished run {key[:16]} in {self.paths.runs}. Train it first.")
        return record

    def find(self, key: str) -> Record | None:
        """Return one run's record, None if the run isn't finished."""
        return self._read(self.paths.run(key).record)

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Hold a run for training. The context yields False if another process holds the run."""
        return held(self.paths.run_lock(key))

    def begin(self, key: str, go_on: bool = False) -> RunPaths:
        """Make a run's directory and return its paths.

        Args:
            key: The key of the run.
            go_on: Whether to keep what an interrupted run left there. Default: empty the directory.
        """
        run = self.paths.run(key)
        if not go_on:
            shutil.rmtree(run.root, ignore_errors=True)
        atomic.make_directory(run.root)
        return run

    def finish(self, record: Record) -> Record:
        """Write the record with the digests of the run's files, which finishes the run, and return it."""
        run = self.paths.run(record.key)
        paths = {name: run.artefact(name) for name in record.digests}
        files = {name: arrays.file_digest(path) for name, path in paths.items() if path.exists()}
        record = record.model_copy(update={"files": files})
        record_file.write(run.record, record)
        self.tidy(run)
        return record

    def fail(self, spec: RunSpec, cause: Exception | str) -> Failure:
        """Record that a run failed and will not be retried."""
        return failures.fail(self.paths, spec, cause)

    def tidy(self, run: RunPaths) -> None:
        """Delete what a finished run no longer needs, and temporary files that a killed process left."""
        for path in (run.checkpoint, run.progress, run.failed):
            path.unlink(missing_ok=True)
        for directory in (run.root, run.rewind):
            for path in directory.glob(".*"):
                if atomic.is_temporary(path):
                    path.unlink(missing_ok=True)

    def checkpoint(self, key: str, noted: Callable[[str], None]) -> "Checkpoint | None":
        """Return the checkpoint that an interrupted run resumes from, None if the run starts anew.

        Args:
            key: The key of the run.
            noted: A function that is called with a message if the checkpoint is damaged and set aside.
        """
        from tf_lottery.training.checkpoint import Checkpoint

        path = self.paths.run(key).checkpoint
        if not path.exists():
            return None
        try:
            checkpoint = Checkpoint.load(path)
            self._keep_rewind_points(key, checkpoint.rewind_digests)
            return checkpoint
        except (LotteryError, KeyError, ValueError, TypeError) as error:
            new_path = self._move_aside(path, f"{key[:16]}-checkpoint.npz")
            noted(f"{error} Set aside as {new_path}; the run is trained from its start.")
            return None

    def _keep_rewind_points(self, key: str, digests: dict[str, str]) -> None:
        """Verify the rewind points that a checkpoint names; delete later ones, which the run writes again."""
        run = self.paths.run(key)
        for name, digest in digests.items():
            arrays.load_sealed(run.artefact(name), digest)
        for path in run.rewind.glob("*.npz"):
            if f"rewind/{path.stem}" not in digests:
                path.unlink(missing_ok=True)

    def write_curves(self, run: RunPaths, curves: dict[str, list]) -> str:
        """Write a run's evaluations and return their digest."""
        return record_file.write_curves(run.curves, curves)

    def curves(self, key: str) -> dict[str, list]:
        """Return a finished run's evaluations, verified: step, train_loss, ... -> values."""
        return record_file.read_curves(self.paths.run(key).curves, self.record(key), key)

    def masks(self, key: str) -> Masks:
        """Return a finished run's masks, verified."""
        return self._load(key, "masks")

    def weights(self, key: str, which: str = "last") -> arrays.Arrays:
        """Return a finished run's weights, verified.

        Args:
            key: The key of the run.
            which: Either `last` or `early_stop`.
        """
        return self._load(key, f"weights_{which}")

    def optimizer(self, key: str) -> arrays.Arrays:
        """Return the state that a finished run's optimizer had in the end, verified."""
        return self._load(key, "optimizer_last")

    def rewind_point(self, key: str, step: int) -> arrays.Arrays:
        """Return the state that a dense run kept at a rewind point, verified."""
        return self._load(key, f"rewind/{step}it")

    def rewind_digest(self, key: str, step: int) -> str:
        """Return the digest of a rewind point, from the dense run's record."""
        return self.record(key).digests[f"rewind/{step}it"]

    def damaged(self, record: Record) -> Iterator[DamagedError]:
        """Yield an error for each damaged file of a finished run. Missing weights count as not kept."""
        for name in record.digests:
            path = self.paths.run(record.key).artefact(name)
            try:
                if path.exists() or not name.startswith(("weights", "optimizer")):
                    self.curves(record.key) if name == "curves" else self._load(record.key, name)
            except DamagedError as error:
                yield error

    def complete(self, record: Record) -> bool:
        """Return whether all files of a finished run exist and pass their checksums."""
        run = self.paths.run(record.key)
        all_exist = all(run.artefact(name).exists() for name in record.digests)
        return all_exist and next(self.damaged(record), None) is None

    def set_aside(self, error: DamagedError) -> Path | None:
        """Move a damaged run out of the way, so that it is trained again.

        Returns:
            Where it is now; None if it was deleted, or if another process has done this or trains it already.
        """
        run = self.paths.run(error.key)
        with self.claim(error.key) as is_claimed:
            if not is_claimed or not run.root.exists() or not self._still_damaged(error):
                return None
            if self.storage.keep == "masks" and not error.path.exists():
                shutil.rmtree(run.root)  # it isn't damaged: a file that wasn't kept is needed again
                return None
            return self._move_aside(run.root, error.key[:16])

    def _still_damaged(self, error: DamagedError) -> bool:
        self._reader.forget()
        try:
            record = self._read(self.paths.run(error.key).record)
            if record is None:
                return False
            return not error.path.exists() or any(each.path == error.path for each in self.damaged(record))
        except DamagedError:
            return True

    def _move_aside(self, path: Path, name: str) -> Path:
        atomic.make_directory(self.paths.damaged)
        stem, dot, suffix = name.partition(".")
        candidates = (self.paths.damaged / f"{stem}-{number}{dot}{suffix}" for number in range(1, 10**6))
        target = next(each for each in candidates if not each.exists())
        os.replace(path, target)
        return target

    def _load(self, key: str, name: str) -> arrays.Arrays:
        path = self.paths.run(key).artefact(name)
        load = arrays.load_sealed if name.startswith("rewind/") else arrays.load
        record = self.record(key)
        try:
            return load(path, record.digests[name], record.files.get(name))
        except DamagedError:
            raise
        except (LotteryError, KeyError) as error:
            raise DamagedError(str(error), key, path) from error

    def _read(self, path: Path) -> Record | None:
        return self._reader.read(path)
