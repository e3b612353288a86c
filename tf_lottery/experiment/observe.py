"""What a study tells those who watch it. Watching changes no result."""

from tf_lottery.experiment.spec import Record, RunSpec
from tf_lottery.training.observe import TrainingObserver


class StudyObserver(TrainingObserver):
    """Hears of a study's runs and trainings; does nothing."""

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """The planner was asked: what is finished, and what can start now."""

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """A run begins to train, from step `first` to step `last`."""

    def finished(self, record: Record) -> None:
        """A run is finished and its record is on disk."""


class Several(StudyObserver):
    """Passes everything on to several observers."""

    def __init__(self, *observers: StudyObserver):
        self._observers = observers

    def planned(self, finished, waiting):
        for observer in self._observers:
            observer.planned(finished, waiting)

    def started(self, spec, first, last):
        for observer in self._observers:
            observer.started(spec, first, last)

    def finished(self, record):
        for observer in self._observers:
            observer.finished(record)

    def advanced(self, step):
        for observer in self._observers:
            observer.advanced(step)

    def evaluated(self, point):
        for observer in self._observers:
            observer.evaluated(point)
