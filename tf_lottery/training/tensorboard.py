"""Step curves for TensorBoard: an observer, removable without changing any result."""

import shutil
from pathlib import Path

import tensorflow as tf

from tf_lottery.training.observe import Point, TrainingObserver


class StepCurves(TrainingObserver):
    """Writes training and validation curves of one run.

    Args:
        directory: of the run's event files; what an interrupted run left there goes.
    """

    def __init__(self, directory: Path):
        shutil.rmtree(directory, ignore_errors=True)
        self._writer = tf.summary.create_file_writer(str(directory))

    def evaluated(self, point: Point) -> None:
        """Write the four curves' next points."""
        with self._writer.as_default(step=point.step):
            if point.train_loss is not None:
                tf.summary.scalar("training/loss", point.train_loss)
                tf.summary.scalar("training/accuracy", point.train_accuracy)
            tf.summary.scalar("validation/loss", point.validation_loss)
            tf.summary.scalar("validation/accuracy", point.validation_accuracy)

    def close(self) -> None:
        """Flush to disk."""
        self._writer.close()
