"""Going on when nobody reads a command's output, and ending cleanly on `kill` or when the terminal closes."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


_heard: list[int] = []
"""The signal that has asked this process to end."""


class Ended(SystemExit):
    """Raised when a signal asks this process to end. Its exit code is the shell's: 128 plus the signal."""


@contextlib.contextmanager
def unwound() -> Iterator[None]:
    """Let `kill`, and a terminal that closes, end Python as Ctrl-C does.

    So temporary directories are removed, workers end, and the terminal's cursor comes back. A signal that the
    process ignores (`nohup`) stays ignored.

    Raises:
        Ended: Within the context, when such a signal arrives.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    previous = {each: signal.getsignal(each) for each in _ENDING}
    handled = [each for each, handler in previous.items() if handler not in (signal.SIG_IGN, None)]

    def end(number: int, frame: FrameType | None) -> None:
        for each in handled:  # a second signal would interrupt the clean-up
            signal.signal(each, signal.SIG_IGN)
        _heard.append(number)
        raise Ended(128 + number)

    for each in handled:
        signal.signal(each, end)
    try:
        yield
    finally:
        _heard.clear()
        for each in handled:
            signal.signal(each, previous[each])


def check_signals() -> None:
    """End the work if a signal has asked for it and whatever ran then has swallowed the exception.

    Keras builds layers within bare `except` clauses. Whoever goes on with the work calls this, not what
    cleans up.

    Raises:
        Ended: If such a signal has arrived within `unwound`.
    """
    if _heard:
        raise Ended(128 + _heard[0])


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Let the work go on when standard output can't be written; standard error says so, once."""
    previous = sys.stdout
    sys.stdout = _Forgiving(previous if previous is not None else open(os.devnull, "w"))  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = previous


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Let a command that couldn't write all of its output exit with 1 and a message of one line.

    Without it, Python would print a message of its own.
    """
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
    """A text file that drops what it can't write, and replaces letters that its encoding lacks."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, text: str) -> int:
        try:
            self._file.write(text)
        except UnicodeEncodeError:
            encoding = self._file.encoding or "ascii"
            return self.write(text.encode(encoding, "replace").decode(encoding))
        except OSError as error:
            self._give_up(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        _discard_output(self._file)
        _print_error(f"Standard output can't be written ({error.strerror}); the work goes on without it.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _flush() -> bool:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return True
    except OSError as error:
        _discard_output(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # a reader such as `head` has read enough
            _print_error(f"Error: {error}")
        return False


def _discard_output(file: TextIO) -> None:
    """Send a file, and what is left in its buffer, to the null device: Python flushes it again at exit."""
    with contextlib.suppress(OSError, ValueError):  # it may have no file descriptor
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, file.fileno())
        os.close(null_device)


def _print_error(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
