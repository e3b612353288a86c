"""Observers of a study, and what they hear of. Watching changes no result."""

from collections.abc import Callable
from dataclasses import dataclass

from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.store.failures import Failure
from tf_lottery.training.observe import TrainingObserver


@dataclass(frozen=True)
class Progress:
    """A run in progress: it began or was resumed at step `first` and is now at step `step` of `last`."""

    spec: RunSpec
    first: int
    step: int
    last: int


class StudyObserver(TrainingObserver):
    """Hears of a study's runs and does nothing; subclasses override what they need.

    The driver of the study calls `planned`, `running`, `finished`, `failed` and `noted`. Whoever
    trains a run, perhaps another process with observers of its own, calls `started`,
    `advanced`, `evaluated` and `noted`.
    """

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Hear the planner's answer: which runs are finished, and which can start now."""

    def running(self, runs: list[Progress]) -> None:
        """Hear which runs are being trained, here or elsewhere."""

    def finished(self, record: Record) -> None:
        """Hear that this driver's run is finished and its record is on disk."""

    def failed(self, failure: Failure) -> None:
        """Called when a run failed and will not be retried."""

    def noted(self, text: str) -> None:
        """Hear of something out of the ordinary: a lost worker, a file that was set aside."""

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Hear that a run starts or resumes training at step `first`, with `last` as its last step."""


_CALLS = ("planned", "running", "finished", "failed", "noted", "started", "advanced", "evaluated")


class Several(StudyObserver):
    """Passes everything that it hears on to several observers."""

    def __init__(self, *observers: StudyObserver):
        for name in _CALLS:
            setattr(self, name, _to_all([getattr(observer, name) for observer in observers]))


def _to_all(methods: list[Callable]) -> Callable:
    def call(*arguments) -> None:
        for method in methods:
            method(*arguments)

    return call
