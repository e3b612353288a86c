"""Step curves of the runs that this process trains, for TensorBoard."""

from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.training.observe import Point
from tf_lottery.training.tensorboard import StepCurves


class RunCurves(StudyObserver):
    """Writes the step curves of the runs that this process trains."""

    def __init__(self, paths: StudyPaths):
        self._paths = paths

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Begin the run's curves, and delete what an interrupted run left there."""
        directory = self._paths.tensorboard_run(spec.arm, spec.replicate, spec.round, spec.trial)
        self._curves = StepCurves(directory)

    def evaluated(self, point: Point) -> None:
        """Write the curves' next points."""
        self._curves.evaluated(point)

    def finished(self, record: Record) -> None:
        """Close the run's curves."""
        self._curves.close()
