"""One process at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tf_lottery import atomic
from tf_lottery.errors import LotteryError

try:
    import fcntl
except ImportError:  # Windows: no lock
    fcntl = None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is made if need be. It ends with the process.

    Raises:
        LotteryError: if another process holds it.
    """
    atomic.make_directory(path.parent)
    with path.open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LotteryError(
                    f"Expected {path.parent} to be nobody else's now. Received: a study that another process "
                    "is running. Wait for it, or use --output."
                ) from error
        yield
