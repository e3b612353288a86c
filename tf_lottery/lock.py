"""Locks that one process holds at a time. A lock ends with its process, however the process ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tf_lottery import atomic
from tf_lottery.errors import StudyError


@contextlib.contextmanager
def held(path: Path, patience: float = 0) -> Iterator[bool]:
    """Try to hold a lock, and yield whether this process holds it.

    Args:
        path: The lock's file, which is created if necessary and isn't deleted.
        patience: For how many seconds to try. Default: once.

    Raises:
        StudyError: If the file can't be created.
    """
    atomic.make_directory(path.parent)
    lock = FileLock(path, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise StudyError(
            f"{path} can't be created ({error.strerror or error}). Make room or choose another directory, "
            "then repeat the command."
        ) from error
    try:
        yield True
    finally:
        lock.release()
