"""The finished runs of a study on disk. A run is finished when its record is there."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator

from pydantic import ValidationError

from tf_lottery import arrays, atomic
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.spec import RECORD_VERSION, Record
from tf_lottery.paths import RunPaths, StudyPaths
from tf_lottery.pruning.masks import Masks

_SEAL = "digest"


def _digest(content: dict) -> str:
    """sha256 of a record's content as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Store:
    """What the chief, or the only process, reads and writes. Args: paths: of the study."""

    def __init__(self, paths: StudyPaths):
        self.paths = paths

    def write_study(self, text: str) -> None:
        """Write the study's own file."""
        atomic.write_text(self.paths.study, text)

    def records(self) -> list[Record]:
        """Return the records of all finished runs, whichever plan they belong to."""
        files = sorted(self.paths.runs.glob("*/record.json"))
        return [record for record in map(self._read, files) if record is not None]

    def record(self, key: str) -> Record:
        """Return one run's record.

        Raises:
            LotteryError: if the run isn't finished, or its record is damaged.
        """
        record = self._read(self.paths.run(key).record)
        if record is None:
            raise LotteryError(f"Expected a finished run {key[:16]}. Received: none in {self.paths.runs}")
        return record

    def begin(self, key: str) -> RunPaths:
        """Return an empty directory for a run; what an interrupted one left there goes."""
        run = self.paths.run(key)
        shutil.rmtree(run.root, ignore_errors=True)
        atomic.make_directory(run.root)
        return run

    def finish(self, record: Record) -> Record:
        """Write the record and return it: from now on the run is finished."""
        content = record.model_dump(mode="json")
        atomic.write_json(self.paths.run(record.key).record, content | {_SEAL: _digest(content)})
        return record

    def masks(self, key: str) -> Masks:
        """Return a finished run's masks, verified."""
        with self._advice(key):
            return arrays.load(self.paths.run(key).masks, self.record(key).digests["masks"])

    def weights(self, key: str, which: str = "last") -> arrays.Arrays:
        """Return a finished run's weights, verified.

        Args:
            key: of the run.
            which: `last` or `early_stop`.
        """
        path = getattr(self.paths.run(key), f"weights_{which}")
        with self._advice(key):
            return arrays.load(path, self.record(key).digests[f"weights_{which}"])

    def rewind_point(self, key: str, step: int) -> arrays.Arrays:
        """Return the state that a dense run kept at a step, verified."""
        path = self.paths.run(key).rewind_point(step)
        with self._advice(key):
            return arrays.load_sealed(path, self.rewind_digest(key, step))

    def rewind_digest(self, key: str, step: int) -> str:
        """Return the digest of a rewind point, from the dense run's record."""
        return self.record(key).digests[f"rewind/{step}it"]

    @contextlib.contextmanager
    def _advice(self, key: str) -> Iterator[None]:
        try:
            yield
        except LotteryError as error:
            raise LotteryError(
                f"{error} To go on, delete {self.paths.run(key).root} and repeat the command: "
                "the run is trained again."
            ) from error

    def _read(self, path) -> Record | None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop(_SEAL, None) != _digest(content):
                raise ValueError("digest differs")
            if content["version"] != RECORD_VERSION:
                return None  # another version's: its runs are trained again
            return Record.model_validate(content)
        except FileNotFoundError:
            return None
        except (ValidationError, ValueError, AttributeError, OSError) as error:
            raise LotteryError(
                f"Expected a run's record. Received: {path}, which is damaged. Delete its directory "
                "and repeat the command: the run is trained again."
            ) from error
