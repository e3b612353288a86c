"""Whoever started a command may be gone: its output unread, its terminal closed. And `kill` is no crash."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ended(SystemExit):
    """A signal asked this process to end; its code is the shell's, 128 and the signal."""


@contextlib.contextmanager
def unwound() -> Iterator[None]:
    """Let `kill`, and a terminal that closes, end Python as Ctrl-C does.

    So temporary directories go, workers end, and the terminal's cursor comes back. What ignores a signal
    (`nohup`) goes on ignoring it.

    Raises:
        Ended: within, when it comes.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = {each: signal.getsignal(each) for each in _ENDING}
    heard = [each for each, handler in before.items() if handler not in (signal.SIG_IGN, None)]

    def end(number: int, frame: FrameType | None) -> None:
        for each in heard:  # a second one would end the tidying up
            signal.signal(each, signal.SIG_IGN)
        raise Ended(128 + number)

    for each in heard:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in heard:
            signal.signal(each, before[each])


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Let what is at work go on where standard output can't be written; standard error tells so, once."""
    before = sys.stdout
    sys.stdout = _Forgiving(before if before is not None else open(os.devnull, "w"))  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = before


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Let a command that couldn't write all of its output end with 1 and one line, not with Python's own."""
    try:
        yield
    except SystemExit as end:
        if not _flush() and not end.code:
            sys.exit(1)
        raise
    except BaseException:
        _flush()
        raise
    if not _flush():
        sys.exit(1)


class _Forgiving:
    """A text file that takes what it can't write, or has no letters for."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, text: str) -> int:
        try:
            self._file.write(text)
        except UnicodeEncodeError:
            encoding = self._file.encoding or "ascii"
            return self.write(text.encode(encoding, "replace").decode(encoding))
        except OSError as error:
            self._given_up(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._given_up(error)

    def _given_up(self, error: OSError) -> None:
        _to_nowhere(self._file)
        _tell(f"Standard output can't be written ({error.strerror}); the work goes on without it.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _flush() -> bool:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return True
    except OSError as error:
        _to_nowhere(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # whoever reads has read enough
            _tell(f"Error: {error}")
        return False


def _to_nowhere(file: TextIO) -> None:
    """Send a file, what is left in its buffer too, to nowhere: Python flushes it once more as it ends."""
    with contextlib.suppress(OSError, ValueError):  # it may be none of the system's
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)


def _tell(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
