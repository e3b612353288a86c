"""One search at a time, since the seeds of Keras, NumPy and Python belong to the process."""

import contextlib
import threading
from collections.abc import Iterator

from tf_lottery.errors import LotteryError

_LOCK = threading.Lock()
_HOLDER: list[int] = []


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait for a search in another thread of this process, then hold others back.

    Two searches at once would draw from the same seeds, and find other results than one after the other.

    Raises:
        LotteryError: If a search of this thread is running.
    """
    if threading.get_ident() in _HOLDER:
        raise LotteryError(
            "This thread is already running a search, and only one search at a time can use the seeds of the "
            "process. Start the next one when it has finished."
        )
    with _LOCK:
        _HOLDER.append(threading.get_ident())
        try:
            yield
        finally:
            _HOLDER.clear()
