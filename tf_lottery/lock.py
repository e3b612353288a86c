"""One process at a time. A lock ends with its process, however that ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tf_lottery import atomic
from tf_lottery.errors import StudyError


@contextlib.contextmanager
def held(path: Path, patience: float = 0) -> Iterator[bool]:
    """Try to hold a lock; yield whether this process has it.

    Args:
        path: of the lock's file, which is made if need be and stays.
        patience: seconds to go on trying.

    Raises:
        StudyError: if the file can't be made.
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
            f"Expected to make {path}. Received: {error.strerror or error}. Make room or choose another "
            "directory, then repeat the command."
        ) from error
    try:
        yield True
    finally:
        lock.release()
