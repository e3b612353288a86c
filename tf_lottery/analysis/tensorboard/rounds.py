"""A study in TensorBoard: the round curves of each arm, and the step curves that are missing.

An observer writes them and changes no result. If several processes drive one study, the one that holds the
lock writes. The step curves of a run are written by whatever trains it.
"""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.lock import held
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store
from tf_lottery.training.events import EventFile, count
from tf_lottery.training.observe import Point
from tf_lottery.training.tensorboard import StepCurves


class StudyCurves(StudyObserver):
    """Writes the round curves, unless another process does, and takes over once that one has ended.

    Args:
        paths: The study's paths.
        store: The store in which finished runs keep their curves.
    """

    def __init__(self, paths: StudyPaths, store: Store):
        self._paths, self._store = paths, store
        self._lock = contextlib.ExitStack()
        self._has_lock = False
        self._finished: list[Record] | None = None
        self._files: dict[tuple, EventFile] = {}
        self._written: set[tuple] = set()
        self._begun: dict[tuple, str] = {}

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Write the round curves' new points. The first call replaces what was there by all points.

        Raises:
            DamagedError: If the curves of a run are needed and fail their checksum.
        """
        written_before = self._finished is None and not waiting and self._is_complete(finished)
        if not written_before:
            self._finished = finished
            self._write_rounds()

    def close(self) -> None:
        """Write what is missing, close the files, and release the lock."""
        with contextlib.suppress(DamagedError):  # there is no time to train the run again
            if self._finished is not None:
                self._write_rounds()
                if self._has_lock:
                    write_missing_steps(self._paths, self._store, self._finished)
        self._finished = None
        self._close_files()
        self._has_lock = False
        self._lock.close()

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _is_complete(self, finished: list[Record]) -> bool:
        """Return whether all curves are complete; the process that wrote them may have been killed."""
        points: Counter[tuple] = Counter()
        for line, record in _points_of(finished):
            points[line] += len(_point(record))
        rounds = all(count(self._paths.tensorboard_arm(*line)) == 1 + n for line, n in points.items())
        return rounds and not any(_incomplete(self._paths, self._store, record) for record in finished)

    @property
    def _rounds(self) -> Path:
        return self._paths.tensorboard / "rounds"

    def _begin(self) -> None:
        """Take the lock if it is free, and start again: its last holder may have written only some runs."""
        self._lock.close()  # forget the last attempt
        with contextlib.suppress(LotteryError):  # a full disk
            self._has_lock = self._lock.enter_context(held(self._paths.tensorboard_lock))
        if self._has_lock:
            self._close_files()
            shutil.rmtree(self._rounds, ignore_errors=True)
            self._written.clear()
            write_missing_steps(self._paths, self._store, self._finished)

    def _write_rounds(self) -> None:
        if not self._has_lock:
            self._begin()
        if not self._has_lock:
            return
        points = list(_points_of(self._finished))
        begun = {line: record.key for line, record in points if record.spec.round == 0}
        if any(begun.get(line, key) != key for line, key in self._begun.items()):
            self._begin()  # a dense run that an arm is better compared with has been finished since
        self._begun = begun
        for line, record in points:
            self._write(line, record)
        for file in self._files.values():
            file.flush()

    def _write(self, line: tuple, record: Record) -> None:
        round = record.spec.round
        if (*line, round) in self._written:
            return
        self._written.add((*line, round))
        if line not in self._files:
            self._files[line] = EventFile(self._paths.tensorboard_arm(*line))
        for tag, value in _point(record).items():
            self._files[line].scalar(tag, value, round)


def _points_of(finished: list[Record]) -> Iterator[tuple[tuple, Record]]:
    """Yield each curve's points: arm, replicate and trial, and a record.

    Every curve begins at the dense network that the arm is compared with.
    """
    results, begun = Results(finished), set()
    dense = {
        (arm, record.spec.replicate): record
        for arm in results.arms
        for record in results.of_arm(arm)
        if record.spec.round == 0
    }
    for record in finished:
        spec = record.spec
        line = (spec.arm, spec.replicate, spec.trial)
        if line not in begun and spec.round > 0 and line[:2] in dense:
            yield line, dense[line[:2]]
        begun.add(line)
        if spec.round >= 0:
            yield line, record


def _point(record: Record) -> dict[str, float]:
    """Return tag -> value of a finished run."""
    layers = {
        f"density_by_layer/{path}": count.remaining / count.total for path, count in record.layers.items()
    }
    return {
        "round/density": record.density,
        "round/sparsity": 1 - record.density,
        "round/early_stop_test_accuracy": record.early_stop_test_accuracy,
        "round/early_stop_validation_accuracy": record.early_stop_validation_accuracy,
        "round/early_stop_iteration": record.early_stop_iteration,
    } | layers


def write_missing_steps(paths: StudyPaths, store: Store, records: list[Record]) -> None:
    """Write the step curves of finished runs that are missing or incomplete.

    Runs taken over from another study have none; others were deleted, or cut off when a process was killed.

    Args:
        paths: The study's paths.
        store: The store in which finished runs keep their curves.
        records: The records of finished runs.

    Raises:
        DamagedError: If the curves of a run fail their checksum.
    """
    for record in records:
        if _incomplete(paths, store, record):
            _write_steps(_run_directory(paths, record), store.curves(record.key))


def _run_directory(paths: StudyPaths, record: Record) -> Path:
    spec = record.spec
    return paths.tensorboard_run(spec.arm, spec.replicate, spec.round, spec.trial)


def _incomplete(paths: StudyPaths, store: Store, record: Record) -> bool:
    """Return whether a finished run's step curves lack points of its evaluations, or have others."""
    curves = store.curves(record.key)
    trained = sum(loss is not None for loss in curves["train_loss"])
    return count(_run_directory(paths, record)) != 1 + 2 * len(curves["step"]) + 2 * trained


def _write_steps(directory: Path, curves: dict[str, list]) -> None:
    columns = [curves[field.name] for field in fields(Point)]
    points = [Point(*values) for values in zip(*columns, strict=True)]
    try:
        steps = StepCurves(directory)
        for point in points:
            steps.evaluated(point)
        steps.close()
    except BaseException:  # Ctrl-C too, since a directory means that its curves are written
        shutil.rmtree(directory, ignore_errors=True)
        raise
