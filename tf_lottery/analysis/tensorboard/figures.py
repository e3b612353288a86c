"""Writing a study's figures for TensorBoard: whole, small, and once for what they show.

The directory's name is a digest of what its files show, and it is renamed into place once they are complete.
So writing again adds nothing to event files, and a study that has gone on gets a new directory.
"""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event

from tf_lottery import atomic
from tf_lottery.analysis.stored import keeps
from tf_lottery.analysis.tensorboard.closer import closer_look
from tf_lottery.analysis.tensorboard.hparams import Line, arm_lines, write_line
from tf_lottery.analysis.tensorboard.layout import layout, tags
from tf_lottery.analysis.tensorboard.learning import learning_curves, rounds_to_show
from tf_lottery.analysis.tensorboard.points import Chart, Points, data_names, lines, unit
from tf_lottery.config import StudyConfig
from tf_lottery.errors import StudyError
from tf_lottery.lock import held
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record
from tf_lottery.paths import FIGURES
from tf_lottery.store.store import Store
from tf_lottery.training.events import EventFile, count

VERSION = 2
"""Raise this when other files are written for the same records."""
PATIENCE = 600
"""For how many seconds to wait until another command has written."""


def write_figures(
    study: StudyConfig,
    results: Results[Record],
    store: Store,
    advanced: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write a study's figures for TensorBoard, unless they are there, and return their directory.

    Args:
        study: The study. The sparsest round that matches within its tolerance is looked at closer.
        results: Its finished runs.
        store: The store that holds them.
        advanced: A function that hears how many parts are written, and how many there are.

    Raises:
        LotteryError: If no run is finished, or the files can't be written.
        DamagedError: If a file of a run fails its checksum.
    """
    paths, shown = store.paths, rounds_to_show(results, study.tolerance)
    compared = arm_lines(study, results, paths.root.name)
    target = paths.tensorboard_figures(_digest(study, results, store, shown, compared))
    with held(paths.figures_lock, PATIENCE) as is_mine:
        if not is_mine:
            raise StudyError(f"Another command has been writing {paths.tensorboard} for long. Stop it first.")
        if not target.is_dir():
            _replace(
                target, lambda directory: _write(directory, study, results, store, shown, compared, advanced)
            )
    return target


def in_order(study: StudyConfig, results: Results[Record]) -> list[str]:
    """Return the arms with finished runs as TensorBoard lists them: the main one, then in the study's order.

    Args:
        study: The study.
        results: Its finished runs.
    """
    order = [results.main, *study.arms]
    return sorted(results.arms, key=lambda arm: order.index(arm) if arm in order else len(order))


def _replace(target: Path, writer: Callable[[Path], None]) -> None:
    """Write a directory aside, put it into its place, and delete those that it replaces."""
    atomic.make_directory(target.parent)
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tf_lottery"))
        writer(temporary)
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    except OSError as error:
        raise StudyError(
            f"{target} can't be written ({error.strerror or error}). Make room first."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    for path in target.parent.iterdir():
        if FIGURES.fullmatch(path.name) and path != target and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _write(
    directory: Path,
    study: StudyConfig,
    results: Results[Record],
    store: Store,
    shown: list[int],
    compared: dict[str, Line],
    advanced: Callable[[int, int], None],
) -> None:
    names, per = data_names(results), unit(results)
    first = results.rounds(min(record.spec.replicate for record in results.of_arm(results.main)))
    closer = [(round, first[round]) for round in shown if round in first]
    learning = _learning(results, shown)
    parts = itertools.count(1)
    written: dict[str, dict[Chart, Points]] = {}
    for arm in in_order(study, results):
        written[arm] = lines(results, arm, names[arm], per, study.name)
    for (arm, name), runs in learning.items():
        written[f"{arm}/{name}"] = learning_curves(runs, store, names[arm])
        advanced(next(parts), len(learning) + len(closer))
    for name, charts in written.items():
        with _writing(directory / name) as file:
            if name in compared:
                write_line(file, compared[name])
            if name == results.main:
                file.summary(layout(_in_order(written.values())))
                for round, record in closer:
                    for summary in closer_look(record, store):
                        file.summary(summary, round)
                    advanced(next(parts), len(learning) + len(closer))
            for chart, points in charts.items():
                for step, values in points.items():
                    for tag, value in zip(tags(chart), values, strict=True):
                        file.scalar(tag, value, step)


def _in_order(written: Iterable[dict[Chart, Points]]) -> list[Chart]:
    """Return all charts: groups in the order in which they come, those that are closed at the end."""
    return sorted(itertools.chain.from_iterable(written), key=lambda chart: chart.closed)


def _learning(results: Results[Record], shown: list[int]) -> dict[tuple[str, str], list[Record]]:
    """Return arm and name -> its runs: of the main arm, and of random reinitializations of its tickets."""
    redrawn = [
        record
        for replicate in {record.spec.replicate for record in results.records}
        for record in results.reinitialized(replicate=replicate)
    ]
    found: dict[tuple[str, str], list[Record]] = {}
    for record in [*results.of_arm(results.main), *redrawn]:
        if record.spec.round in shown:
            found.setdefault((record.spec.arm, f"round_{record.spec.round:02d}"), []).append(record)
    return found


class _CountingFile(EventFile):
    """Counts what is to be written, since an `EventFile` is silent on a full disk."""

    events = 1  # the first one names the format

    def _write(self, event: Event) -> None:
        super()._write(event)
        self.events += event.HasField("summary")


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[EventFile]:
    file = _CountingFile(directory)
    try:
        yield file
    finally:
        file.close()
    if count(directory) != file.events:
        raise StudyError(f"{directory.parent.parent} can't be written. Make room, then repeat the command.")


def _digest(
    study: StudyConfig, results: Results[Record], store: Store, shown: list[int], compared: dict[str, Line]
) -> str:
    """Return the digest of all that decides what is written."""
    looked_at = [record for record in results.of_arm(results.main) if record.spec.round in shown]
    labels = ("arm", "replicate", "round", "trial")
    places = [[record.key, *(getattr(record.spec, each) for each in labels)] for record in results.records]
    kept = [keeps(store, record.spec) for record in looked_at]
    content = json.dumps(
        [VERSION, study.name, results.main, shown, places, kept, list(map(vars, compared.values()))]
    )
    return hashlib.sha256(content.encode()).hexdigest()
