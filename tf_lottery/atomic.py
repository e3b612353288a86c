"""Writing files so that a reader sees the old content or the new, never a part of it."""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tf_lottery.errors import StudyError

_SUFFIX = ".tf_lottery"
# Version 0.1 wrote no suffix; its temporary files are recognized by the names of what it wrote.
_TEMPORARY = re.compile(
    r"\.(.+\.[a-z0-9_]{8}\.tf_lottery"
    r"|(study\.yaml|tickets\.png|winning_ticket\.npz|search\.json|theta_0\.npz|record\.json|curves\.json"
    r"|masks\.npz|weights_last\.npz|weights_early_stop\.npz|optimizer_last\.npz|checkpoint\.npz"
    r"|progress\.json|failed\.json|\d+it\.npz)\.[a-z0-9_]{8})"
)


def is_temporary(path: Path) -> bool:
    """Return whether a file's exact name says that `write` left it when its process was killed."""
    return bool(_TEMPORARY.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


def make_directory(path: Path) -> Path:
    """Create a directory and its parents.

    Args:
        path: The directory. It may exist already.

    Returns:
        The same path.

    Raises:
        StudyError: If the directory can't be created or isn't writable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK)
    except OSError as error:
        raise StudyError(
            f"The directory {path} can't be written ({error.strerror}). Choose another one, or make room."
        ) from error
    if not writable:
        raise StudyError(f"The directory {path} can't be written (permission denied). Choose another one.")
    return path


def write(path: Path, writer: Callable[[BinaryIO], Any]) -> None:
    """Write a file through a temporary one beside it, which is flushed to disk and then renamed.

    Args:
        path: The file to create or replace.
        writer: A function that is called with the open binary file.

    Raises:
        StudyError: If the file can't be written (disk full, permission). The old
            content, if there was any, is untouched.
    """
    make_directory(path.parent)
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX)
        with os.fdopen(descriptor, "wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
        _flush_directory(path.parent)
    except OSError as error:
        raise StudyError(
            f"{path} can't be written ({error.strerror or error}). "
            "Make room or choose another directory, then repeat the command."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _flush_directory(path: Path) -> None:
    """Make a rename survive a power cut. Not every system can do this, or needs it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write(path, lambda file: file.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """Write an indented JSON file atomically; NaN and infinity raise a `ValueError`."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Return the exact text that `write_json` writes for a value."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
