"""Observers of a study, and what they hear of. Watching changes no result."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tf_lottery.method.spec import LABELS, Record, RunSpec
from tf_lottery.store.failures import Failure
from tf_lottery.training.observe import Point, TrainingObserver


@dataclass(frozen=True)
class Progress:
    """The progress of a run that is being trained.

    Attributes:
        spec: The run.
        first: The step at which it began or was resumed.
        step: The step that it has reached.
        last: Its last step.
    """

    spec: RunSpec
    first: int
    step: int
    last: int


class StudyObserver(TrainingObserver):
    """The base class of observers: it hears of a study's runs and does nothing.

    Subclasses override what they need. All methods are called one after the other in the thread that called
    `run_study`, which waits for them.

    The process that drives the study calls `planned`, `running`, `finished`, `failed` and `noted`, whoever
    trains. `started`, `advanced` and `evaluated` are called only where that process trains by itself: with
    worker processes and on a cluster `running` says how far runs are.

    Example:
        >>> import tf_lottery as lottery
        >>> class Finished(lottery.StudyObserver):
        ...     def finished(self, record):
        ...         print(record.spec.describe(), f"{record.density:.0%}")
        >>> small = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=0"]
        >>> _ = lottery.run_study("digits_quick", "digits", small, observer=Finished())
        ticket replicate 0 round 0 100%
    """

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Called when the study begins, and whenever the planner's answer changes.

        Args:
            finished: The records of all finished runs of the study: those of earlier calls, of other
                processes and of neighbouring studies, too.
            waiting: The specs of the runs that can start now, those in training included. It is empty when
                the study is finished.
        """

    def running(self, runs: list[Progress]) -> None:
        """Called every so often while runs are being trained, here or elsewhere.

        Args:
            runs: The progress of the runs that have told it.
        """

    def finished(self, record: Record) -> None:
        """Called when a run of this driver is finished.

        Args:
            record: The run's record. Its files are on disk.
        """

    def failed(self, failure: Failure) -> None:
        """Called when a run has failed and will not be retried.

        Args:
            failure: Its `spec`, and the `reason` on one line.
        """

    def noted(self, text: str) -> None:
        """Called when something unusual happens, such as a worker that is lost or a file that is set aside.

        Args:
            text: One line that says what.
        """

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Called when a run begins or is resumed in this process.

        Args:
            spec: The run.
            first: The step from which it is trained.
            last: Its last step.
        """

    def advanced(self, step: int) -> None:
        """Called after each call of the compiled loop, of hundreds of steps perhaps.

        Args:
            step: How many steps the network has had.
        """

    def evaluated(self, point: Point) -> None:
        """Called after each evaluation; in a run that is resumed, once more for each earlier one.

        Args:
            point: The step, and the losses and accuracies there.
        """


_CALLS = ("planned", "running", "finished", "failed", "noted", "started", "advanced", "evaluated")


class Several(StudyObserver):
    """Passes everything that it hears on to several observers."""

    def __init__(self, *observers: StudyObserver):
        for name in _CALLS:
            setattr(self, name, _to_all([getattr(observer, name) for observer in observers]))


class Guarded(StudyObserver):
    """Passes on what it hears until the observer raises; from then on the study goes on without it.

    What the observer is given are copies of its own, so that it can't change what is trained.

    Args:
        observer: The observer.
        noted: A function that is called with a message if the observer raises.
    """

    def __init__(self, observer: StudyObserver, noted: Callable[[str], None]):
        self._observer, self._noted, self._raised = observer, noted, False
        self._copies: dict[tuple, tuple[Record, Record]] = {}
        for name in _CALLS:
            setattr(self, name, self._guarded(name))

    def _guarded(self, name: str) -> Callable[..., None]:
        def call(*arguments) -> None:
            if self._raised:
                return
            try:
                getattr(self._observer, name)(*map(self._copied, arguments))
            except Exception as error:  # an observer's own code may raise anything
                self._raised = True
                message = (
                    f"The observer {type(self._observer).__name__} raised in {name}: {type(error).__name__}: "
                    f"{' '.join(str(error).split())}. The study goes on without it."
                )
                self._noted(message)
                warnings.warn(message, RuntimeWarning, stacklevel=2)

        return call

    def _copied(self, told: Any) -> Any:
        if isinstance(told, list):
            return [self._copied(each) for each in told]
        if not isinstance(told, Record):
            return copy.deepcopy(told)
        place = (told.key, *(getattr(told.spec, label) for label in LABELS))
        before, own = self._copies.get(place, (None, None))
        # `planned` repeats all records, of which there may be thousands.
        if own is None or (before is not told and before != told):
            own = copy.deepcopy(told)
            self._copies[place] = (told, own)
        return own


def _to_all(methods: list[Callable]) -> Callable:
    def call(*arguments) -> None:
        for method in methods:
            method(*arguments)

    return call
