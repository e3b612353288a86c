"""Observers of a study. Observing changes no result."""

from collections.abc import Callable
from dataclasses import dataclass

from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.store.failures import Failure
from tf_lottery.training.observe import TrainingObserver


@dataclass(frozen=True)
class Progress:
    """A run in progress, which began or was resumed at step `first` and is now at `step` of `last`."""

    spec: RunSpec
    first: int
    step: int
    last: int


class StudyObserver(TrainingObserver):
    """Observes a study's runs; this base class does nothing.

    The driver of the study calls `planned`, `running`, `finished`, `failed` and `noted`. Whatever
    trains a run, perhaps another process with its own observers, calls `started`, `advanced`,
    `evaluated` and `noted`.
    """

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Called with the planner's answer: the records of finished runs, and the runs that can start now."""

    def running(self, runs: list[Progress]) -> None:
        """Called with the runs that are being trained, on whatever machine."""

    def finished(self, record: Record) -> None:
        """Called when a run of this study is finished and its record is on disk."""

    def failed(self, failure: Failure) -> None:
        """Called when a run failed and will not be retried."""

    def noted(self, text: str) -> None:
        """Called with a message about something unusual: a worker has ended, a file was set aside."""

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Called when a run begins to train, or resumes, from step `first` to step `last`."""


_CALLS = ("planned", "running", "finished", "failed", "noted", "started", "advanced", "evaluated")


class Several(StudyObserver):
    """Passes every call on to several observers."""

    def __init__(self, *observers: StudyObserver):
        for name in _CALLS:
            setattr(self, name, _to_all([getattr(observer, name) for observer in observers]))


def _to_all(methods: list[Callable]) -> Callable:
    def call(*arguments) -> None:
        for method in methods:
            method(*arguments)

    return call
