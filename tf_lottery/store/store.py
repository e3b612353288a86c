"""The runs of a study on disk, named by their keys. A run is finished when its record is there.

A file is checked when it is used. What isn't as it was written raises a `DamagedError`; whoever
drives the study sets the run aside, and the planner asks for it again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tf_lottery import arrays, atomic
from tf_lottery.config import StorageConfig
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.lock import held
from tf_lottery.method.spec import RECORD_VERSION, Finished, Record, RunSpec
from tf_lottery.paths import RUN_NAME, RunPaths, StudyPaths
from tf_lottery.pruning.masks import Masks
from tf_lottery.store import failures
from tf_lottery.store.failures import Failure

if TYPE_CHECKING:
    from tf_lottery.training.checkpoint import Checkpoint

_SEAL = "digest"
_DAMAGE = (ValueError, AttributeError, TypeError, KeyError, OSError)


class _Unlike(ValueError):
    """A record that isn't as it was written, with the reason in words."""


def _why(error: Exception) -> str:
    return f": {error}" if isinstance(error, _Unlike) else ""


def _digest(content: dict) -> str:
    """sha256 of a JSON file's content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Store:
    """What the chief, or the only process, reads and writes.

    Args:
        paths: of the study.
        storage: what is kept, and how often.
    """

    record_type: type[Finished] = Record
    """What the store holds."""
    adopts = True
    """Whether it takes over runs that a neighbouring study has trained."""
    writes = True
    """Whether this process writes there, and may share its runs with others."""

    def __init__(self, paths: StudyPaths, storage: StorageConfig | None = None):
        self.paths, self.storage = paths, storage or StorageConfig()
        self._known: dict[Path, tuple[tuple[int, int], Record | None]] = {}

    @property
    def checkpoint_every(self) -> str:
        """How often a run in progress is kept."""
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
            DamagedError: for the first that isn't as it was written.
        """
        found = map(self.find, self.names())
        return [record for record in found if record is not None]

    def names(self) -> list[str]:
        """Return the names of all runs that there are, finished or not: the first 16 digits of their keys."""
        try:
            with os.scandir(self.paths.runs) as entries:
                return sorted(entry.name for entry in entries if RUN_NAME.fullmatch(entry.name))
        except FileNotFoundError:
            return []

    def record(self, key: str) -> Record:
        """Return one run's record.

        Raises:
            LotteryError: if the run isn't finished.
            DamagedError: if its record isn't as it was written.
        """
        record = self.find(key)
        if record is None:
            raise LotteryError(f"Expected a finished run {key[:16]}. Received: none in {self.paths.runs}")
        return record

    def find(self, key: str) -> Record | None:
        """Return one run's record, None if it isn't finished."""
        return self._read(self.paths.run(key).record)

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Hold a run for training; yields False if another process holds it."""
        return held(self.paths.run_lock(key))

    def begin(self, key: str, go_on: bool = False) -> RunPaths:
        """Return a run's directory: empty, or with what an interrupted run left if it goes on."""
        run = self.paths.run(key)
        if not go_on:
            shutil.rmtree(run.root, ignore_errors=True)
        atomic.make_directory(run.root)
        return run

    def finish(self, record: Record) -> Record:
        """Write the record, with the digests of its files, and return it: the run is finished."""
        run = self.paths.run(record.key)
        paths = {name: run.artefact(name) for name in record.digests}
        files = {name: arrays.file_digest(path) for name, path in paths.items() if path.exists()}
        record = record.model_copy(update={"files": files})
        content = record.model_dump(mode="json")
        atomic.write_json(run.record, content | {_SEAL: _digest(content)})
        self.tidy(run)
        return record

    def fail(self, spec: RunSpec, cause: Exception | str) -> Failure:
        """Record that a run failed for cause."""
        return failures.fail(self.paths, spec, cause)

    def tidy(self, run: RunPaths) -> None:
        """Delete what a finished run needs no longer, and what a killed process half wrote there."""
        for path in (run.checkpoint, run.progress, run.failed):
            path.unlink(missing_ok=True)
        for directory in (run.root, run.rewind):
            for path in directory.glob(".*"):
                if atomic.is_temporary(path):
                    path.unlink(missing_ok=True)

    def checkpoint(self, key: str, noted: Callable[[str], None]) -> "Checkpoint | None":
        """Return where an interrupted run goes on, None if it starts anew.

        Args:
            key: of the run.
            noted: hears of a damaged checkpoint, which is set aside.
        """
        from tf_lottery.training.checkpoint import Checkpoint

        path = self.paths.run(key).checkpoint
        if not path.exists():
            return None
        try:
            found = Checkpoint.load(path)
            self._keep_rewind_points(key, found.rewind_digests)
            return found
        except (LotteryError, KeyError, ValueError, TypeError) as error:
            aside = self._move_aside(path, f"{key[:16]}-checkpoint.npz")
            noted(f"{error} Set aside as {aside}; the run is trained from its start.")
            return None

    def _keep_rewind_points(self, key: str, digests: dict[str, str]) -> None:
        """Verify the rewind points that a checkpoint names; delete later ones, which are kept anew."""
        run = self.paths.run(key)
        for name, digest in digests.items():
            arrays.load_sealed(run.artefact(name), digest)
        for path in run.rewind.glob("*.npz"):
            if f"rewind/{path.stem}" not in digests:
                path.unlink(missing_ok=True)

    def write_curves(self, run: RunPaths, curves: dict[str, list]) -> str:
        """Write a run's evaluations; return their digest."""
        atomic.write_json(run.curves, curves)
        return _digest(curves)

    def curves(self, key: str) -> dict[str, list]:
        """Return a finished run's evaluations, verified: step, train_loss, ... -> values."""
        path, record = self.paths.run(key).curves, self.record(key)
        expected = record.digests.get("curves")
        try:
            content = path.read_bytes()
            if "curves" in record.files and hashlib.sha256(content).hexdigest() != record.files["curves"]:
                raise ValueError("digest differs")
            found = json.loads(content)
            if expected not in (None, _digest(found)):  # None: a record of before there was one
                raise ValueError("digest differs")
        except (OSError, ValueError, RecursionError) as error:
            raise DamagedError(
                f"Expected the curves of a run. Received: {path}, which is damaged ({error}).", key, path
            ) from error
        return found

    def masks(self, key: str) -> Masks:
        """Return a finished run's masks, verified."""
        return self._load(key, "masks")

    def weights(self, key: str, which: str = "last") -> arrays.Arrays:
        """Return a finished run's weights, verified.

        Args:
            key: of the run.
            which: `last` or `early_stop`.
        """
        return self._load(key, f"weights_{which}")

    def rewind_point(self, key: str, step: int) -> arrays.Arrays:
        """Return the state that a dense run kept at a step, verified."""
        return self._load(key, f"rewind/{step}it")

    def rewind_digest(self, key: str, step: int) -> str:
        """Return the digest of a rewind point, from the dense run's record."""
        return self.record(key).digests[f"rewind/{step}it"]

    def damaged(self, record: Record) -> Iterator[DamagedError]:
        """Yield what is wrong with a finished run's files. Weights that aren't there weren't kept."""
        for name in record.digests:
            path = self.paths.run(record.key).artefact(name)
            try:
                if path.exists() or not name.startswith(("weights", "optimizer")):
                    self.curves(record.key) if name == "curves" else self._load(record.key, name)
            except DamagedError as error:
                yield error

    def complete(self, record: Record) -> bool:
        """Return whether all files of a finished run are there, as they were written."""
        run = self.paths.run(record.key)
        there = all(run.artefact(name).exists() for name in record.digests)
        return there and next(self.damaged(record), None) is None

    def set_aside(self, error: DamagedError) -> Path | None:
        """Move a damaged run out of the way, so that it is trained again.

        Returns:
            Where it is now; None if another process has done that, or trains it already.
        """
        run = self.paths.run(error.key)
        with self.claim(error.key) as mine:
            if not mine or not run.root.exists() or not self._still(error):
                return None
            if self.storage.keep == "masks" and not error.path.exists():
                shutil.rmtree(run.root)  # not damaged: not kept, and needed now
                return None
            return self._move_aside(run.root, error.key[:16])

    def _still(self, error: DamagedError) -> bool:
        self._known.clear()
        try:
            record = self._read(self.paths.run(error.key).record)
            if record is None:
                return False
            return not error.path.exists() or any(found.path == error.path for found in self.damaged(record))
        except DamagedError:
            return True

    def _move_aside(self, path: Path, name: str) -> Path:
        atomic.make_directory(self.paths.damaged)
        stem, dot, suffix = name.partition(".")
        taken = (self.paths.damaged / f"{stem}-{number}{dot}{suffix}" for number in range(1, 10**6))
        target = next(each for each in taken if not each.exists())
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
        try:
            status = path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if self._known.get(path, (None,))[0] != stamp:
                self._known[path] = stamp, self._parse(path)
            return self._known[path][1]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValidationError, RecursionError, *_DAMAGE) as error:
            raise DamagedError(
                f"Expected a run's record. Received: {path}, which is damaged{_why(error)}.",
                path.parent.name,
                path,
            ) from error

    def _parse(self, path: Path) -> Record | None:
        text = path.read_bytes().decode("utf-8")
        content: dict[str, Any] = json.loads(text)
        if atomic.json_text(content) != text:
            raise _Unlike("it isn't written as a record is")
        if content.pop(_SEAL, None) != _digest(content):
            raise _Unlike("its digest differs")
        json.dumps(content, ensure_ascii=False).encode()  # ValueError for half of a character
        if content["version"] != RECORD_VERSION:
            return None  # another version's: its runs are trained again
        if content["key"][:16] != path.parent.name:
            raise _Unlike(f"it is that of run {content['key'][:16]!r}")
        return self.record_type.model_validate(content)
