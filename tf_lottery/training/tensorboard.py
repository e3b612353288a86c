"""Step curves for TensorBoard, written by an observer that changes no result."""

import shutil
import time
from pathlib import Path

from tf_lottery.training.events import EventFile
from tf_lottery.training.observe import Point, TrainingObserver

INTERVAL_SECONDS = 1.0


class StepCurves(TrainingObserver):
    """Writes the training and validation curves of one run, and silently stops if the disk is full.

    Args:
        directory: The directory of the run's event files. What an interrupted run left there is deleted.
    """

    def __init__(self, directory: Path):
        shutil.rmtree(directory, ignore_errors=True)
        self._events = EventFile(directory)
        self._flushed = -INTERVAL_SECONDS

    def evaluated(self, point: Point) -> None:
        """Write the next points of the four curves. Files are flushed once a second at most."""
        if point.train_loss is not None:
            self._events.scalar("training/loss", point.train_loss, point.step)
            self._events.scalar("training/accuracy", point.train_accuracy, point.step)
        self._events.scalar("validation/loss", point.validation_loss, point.step)
        self._events.scalar("validation/accuracy", point.validation_accuracy, point.step)
        if time.monotonic() - self._flushed >= INTERVAL_SECONDS:
            self._events.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close the file."""
        self._events.close()
