"""A study in TensorBoard: step curves of each run, round curves of each arm.

An observer, removable without changing any result. TensorFlow is imported when the first
curve is written.
"""

import shutil

from tf_lottery.experiment.observe import StudyObserver
from tf_lottery.experiment.spec import Record, RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.training.observe import Point


class StudyCurves(StudyObserver):
    """Args: paths: of the study."""

    def __init__(self, paths: StudyPaths):
        self._paths = paths
        self._steps = None
        self._writers = {}
        self._written: set[tuple] = set()
        self._finished: list[Record] = []
        self._began = False

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Write the round curves' new points; at first, all of them, in place of old ones."""
        self._finished = finished
        if self._began:
            self._write_rounds(finished)
        elif not waiting and not (self._paths.tensorboard / "rounds").is_dir():
            self._begin()  # finished before, but without its curves

    def _begin(self) -> None:
        self._began = True
        shutil.rmtree(self._paths.tensorboard / "rounds", ignore_errors=True)
        self._write_rounds(self._finished)

    def _write_rounds(self, finished: list[Record]) -> None:
        dense = {record.spec.replicate: record for record in finished if record.spec.round == 0}
        for record in finished:
            spec = record.spec
            line = (spec.arm, spec.replicate, spec.trial)
            if spec.round:
                self._write(line, dense[spec.replicate])  # every line begins at the dense network
            self._write(line, record)
        for writer in self._writers.values():
            writer.flush()

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Open the run's own curves.

        Not before: writing starts TensorFlow, whose threads the first run sets.
        """
        from tf_lottery.training.tensorboard import StepCurves

        if not self._began:
            self._begin()
        self._steps = StepCurves(
            self._paths.tensorboard_run(spec.arm, spec.replicate, spec.round, spec.trial)
        )

    def evaluated(self, point: Point) -> None:
        """Write the step curves' next points."""
        self._steps.evaluated(point)

    def finished(self, record: Record) -> None:
        """Close the run's own curves."""
        self._steps.close()

    def _write(self, line: tuple, record: Record) -> None:
        import tensorflow as tf

        if (*line, record.spec.round) in self._written:
            return
        self._written.add((*line, record.spec.round))
        if line not in self._writers:
            directory = self._paths.tensorboard_arm(*line)
            self._writers[line] = tf.summary.create_file_writer(str(directory))
        with self._writers[line].as_default(step=record.spec.round):
            tf.summary.scalar("round/density", record.density)
            tf.summary.scalar("round/sparsity", 1 - record.density)
            tf.summary.scalar("round/early_stop_test_accuracy", record.early_stop_test_accuracy)
            tf.summary.scalar("round/early_stop_validation_accuracy", record.early_stop_validation_accuracy)
            tf.summary.scalar("round/early_stop_iteration", record.early_stop_iteration)
            for path, count in record.layers.items():
                tf.summary.scalar(f"density_by_layer/{path}", count.remaining / count.total)
