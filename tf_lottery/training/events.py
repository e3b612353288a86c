"""TensorBoard's event files, written without TensorFlow."""

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

_FILES = itertools.count()


class EventFile:
    """Writes one event file, with the same content as `tf.summary.scalar`.

    Nothing depends on the file, so a full disk doesn't stop a training: at the first `OSError`, even when the
    file is opened, it is closed as it is, and later points are dropped. No `OSError` is raised.

    Args:
        directory: The directory of the file, which is created if needed.
    """

    def __init__(self, directory: Path):
        self._records: RecordWriter | None = None
        with self._silent():
            directory.mkdir(parents=True, exist_ok=True)
            self._records = RecordWriter((directory / _name()).open("xb"))
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a point of a curve as float32. NaN stays NaN, and a value that is too large becomes infinity.

        Args:
            tag: The name of the curve.
            value: The value at this step.
            step: The step.
        """
        with np.errstate(over="ignore"):
            summary = scalar_pb(tag, value)
        self._write(Event(wall_time=time.time(), step=int(step), summary=summary))

    def summary(self, summary: Summary, step: int = 0) -> None:
        """Write a summary of another kind, such as the settings of a run."""
        self._write(Event(wall_time=time.time(), step=int(step), summary=summary))

    def flush(self) -> None:
        """Flush, so that readers see what has been written."""
        with self._silent():
            if self._records:
                self._records.flush()

    def close(self) -> None:
        """Flush and close; later calls do nothing."""
        records, self._records = self._records, None
        if records:
            with contextlib.suppress(OSError):
                records.close()

    def _write(self, event: Event) -> None:
        with self._silent():
            if self._records:
                self._records.write(event.SerializeToString())

    @contextlib.contextmanager
    def _silent(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.close()


def count(directory: Path) -> int:
    """Return how many complete events a directory's files hold."""
    total = 0
    for path in directory.glob("events.out.tfevents.*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while len(head := file.read(12)) == 12:  # a length, its checksum; then the event and its checksum
                end = file.tell() + int.from_bytes(head[:8], "little") + 4
                if end > size:
                    break
                file.seek(end)
                total += 1
    return total


def _name() -> str:
    """Return a name that no other file of this process has, as TensorBoard looks for it."""
    return f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_FILES)}"
