"""A run's `record.json` and `curves.json`: written with a digest, verified when they are read."""

import hashlib
import json
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from tf_lottery import atomic
from tf_lottery.errors import DamagedError
from tf_lottery.method.spec import RECORD_VERSION, Finished

Kind = TypeVar("Kind", bound=Finished)

_SEAL = "digest"
_DAMAGE = (ValidationError, ValueError, AttributeError, TypeError, KeyError, RecursionError, OSError)


class _NotAsWritten(ValueError):
    """Raised for a record that differs from what was written; its message gives the reason in words."""


def digest(content: dict) -> str:
    """Return the sha256 of a JSON file's content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write(path: Path, record: Finished) -> None:
    """Write a record together with its digest.

    Args:
        path: The run's `record.json`.
        record: The record to write.
    """
    content = record.model_dump(mode="json")
    atomic.write_json(path, content | {_SEAL: digest(content)})


class RecordReader(Generic[Kind]):
    """Reads and verifies record files, each of them once as long as it doesn't change.

    Args:
        record_type: The class of the records.
    """

    def __init__(self, record_type: type[Kind]):
        self._record_type = record_type
        self._known: dict[Path, tuple[tuple[int, int], Kind | None]] = {}

    def read(self, path: Path) -> Kind | None:
        """Return the record in a file; None if there is none, or another version of tf_lottery wrote it.

        Raises:
            DamagedError: If the file differs from what was written.
        """
        try:
            status = path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if self._known.get(path, (None,))[0] != stamp:
                self._known[path] = stamp, self._parse(path)
            return self._known[path][1]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except _DAMAGE as error:
            reason = f": {error}" if isinstance(error, _NotAsWritten) else ""
            raise DamagedError(f"The record {path} is damaged{reason}.", path.parent.name, path) from error

    def forget(self) -> None:
        """Read all files again when they are next asked for."""
        self._known.clear()

    def _parse(self, path: Path) -> Kind | None:
        text = path.read_bytes().decode("utf-8")
        content: dict[str, Any] = json.loads(text)
        if atomic.json_text(content) != text:
            raise _NotAsWritten("its form isn't the one in which records are written")
        if content.pop(_SEAL, None) != digest(content):
            raise _NotAsWritten("it fails its checksum")
        json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair raises ValueError
        if content["version"] != RECORD_VERSION:
            return None  # runs of another version are trained again
        if content["key"][:16] != path.parent.name:
            raise _NotAsWritten(f"it is the record of run {content['key'][:16]!r}")
        return self._record_type.model_validate(content)


def write_curves(path: Path, curves: dict[str, list]) -> str:
    """Write a run's evaluations and return their digest.

    Args:
        path: The run's `curves.json`.
        curves: A mapping of name -> values: `step`, `train_loss`, ...
    """
    atomic.write_json(path, curves)
    return digest(curves)


def read_curves(path: Path, record: Finished, key: str) -> dict[str, list]:
    """Return a finished run's evaluations, verified.

    Args:
        path: The run's `curves.json`.
        record: The run's record.
        key: The run's key, for the error.

    Raises:
        DamagedError: If the file is missing, or fails a checksum of the record.
    """
    expected = record.digests.get("curves")  # None in records from before curves had a digest
    try:
        content = path.read_bytes()
        if "curves" in record.files and hashlib.sha256(content).hexdigest() != record.files["curves"]:
            raise ValueError("the file fails its checksum")
        curves = json.loads(content)
        if expected not in (None, digest(curves)):
            raise ValueError("the values fail their checksum")
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"The curves {path} are damaged ({error}).", key, path) from error
    return curves
