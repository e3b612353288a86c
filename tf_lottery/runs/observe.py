"""What those who watch a study are told. Watching changes no result."""

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
    """Hears of a study's runs, and does nothing.

    What drives the study calls `planned`, `running`, `finished`, `failed` and `noted`. What
    trains a run, perhaps another process with observers of its own, calls `started`,
    `advanced`, `evaluated` and `noted`.
    """

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Hear the planner's answer: what is finished, and what can start now."""

    def running(self, runs: list[Progress]) -> None:
        """Hear which runs are being trained, wherever that is."""

    def finished(self, record: Record) -> None:
        """Hear that a run of ours is finished and its record is on disk."""

    def failed(self, failure: Failure) -> None:
        """Hear that a run failed and won't be retried."""

    def noted(self, text: str) -> None:
        """Hear of something out of the ordinary: a worker is gone, a file was set aside."""

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Hear that a run begins to train, or is resumed, from step `first` to step `last`."""


_HEARD = ("planned", "running", "finished", "failed", "noted", "started", "advanced", "evaluated")


class Several(StudyObserver):
    """Passes everything on to several observers."""

    def __init__(self, *observers: StudyObserver):
        for name in _HEARD:
            setattr(self, name, _to_all([getattr(observer, name) for observer in observers]))


def _to_all(methods: list[Callable]) -> Callable:
    def call(*arguments) -> None:
        for method in methods:
            method(*arguments)

    return call
