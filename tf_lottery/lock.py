"""One process at a time. A lock ends with its process, however that ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tf_lottery import atomic
from tf_lottery.errors import StudyError


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Try to hold a lock; yield whether this process has it.

    Args:
        path: of the lock's file, which is made if need be and stays.

    Raises:
        StudyError: if the file can't be made.
    """
    with _acquired(path, 0) as mine:
        yield mine


@contextlib.contextmanager
def locked(path: Path, patience: float = 60) -> Iterator[None]:
    """Hold a lock, waiting for whoever has it.

    Args:
        path: as of `held`.
        patience: seconds to wait at most.

    Raises:
        StudyError: if another process keeps it, or the file can't be made.
    """
    with _acquired(path, patience) as mine:
        if not mine:
            raise StudyError(
                f"Expected {path} to be free within {patience:g} s. Received: another process that holds it. "
                "Wait for it, or use --output."
            )
        yield


@contextlib.contextmanager
def _acquired(path: Path, seconds: float) -> Iterator[bool]:
    atomic.make_directory(path.parent)
    lock = FileLock(path, timeout=seconds, is_singleton=False)
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
