"""Which files in a study's directory are the study's, by their exact names. No others are ever deleted."""

import re
from collections.abc import Iterator
from pathlib import Path

from tf_lottery.atomic import is_temporary
from tf_lottery.paths import ARTEFACT, FIGURE, FIGURES, RUN_NAME, StudyPaths

_SET_ASIDE = re.compile(r"[0-9a-f]{16}(-checkpoint)?-\d{1,6}(\.npz)?")
_LOCKS = re.compile(r"[0-9a-f]{16}|tensorboard|figures|shard_\d+_of_\d+")
_EVENTS = re.compile(r"events\.out\.tfevents\..+")
_IN_PROGRESS = {"record.json", "checkpoint.npz", "progress.json", "failed.json"}


def is_set_aside(path: Path) -> bool:
    """Return whether tf_lottery set aside something that lies in `damaged/`."""
    return bool(_SET_ASIDE.fullmatch(path.name))


def foreign(paths: StudyPaths) -> Iterator[Path]:
    """Yield the paths in a study's directory that aren't the study's."""
    own = {paths.study.name, paths.picture.name, paths.ticket.name, ".lock"}
    named = (paths.locks, paths.damaged, paths.runs, paths.tensorboard, paths.figures)
    directories = {path.name for path in named}
    for path in sorted(paths.root.iterdir()):
        known = path.name in own or paths.is_ours(path.name)
        if path.is_symlink() or not known or path.is_dir() != (path.name in directories):
            yield path
    for run in entries(paths.runs):
        if not RUN_NAME.fullmatch(run.name.removeprefix(".")) or run.is_symlink():
            yield run
        else:
            yield from foreign_in(run)
    for path in entries(paths.damaged):
        yield from foreign_in(path) if is_set_aside(path) else [path]
    for path in entries(paths.figures):
        if path.is_symlink() or not (path.is_file() and (FIGURE.fullmatch(path.name) or is_temporary(path))):
            yield path
    for path in entries(paths.locks):
        if not _LOCKS.fullmatch(path.name) or path.is_dir():
            yield path
    yield from _foreign_events(paths.tensorboard)


def foreign_in(run: Path) -> list[Path]:
    """Return the paths in a run's directory that aren't the run's; [] if `run` isn't a directory."""
    foreign = []
    for path in sorted(run.rglob("*")) if run.is_dir() else []:
        name = str(path.relative_to(run))
        artefact = bool(ARTEFACT.fullmatch(name.removesuffix(".npz").removesuffix(".json")))
        known = path.is_dir() if name == "rewind" else path.is_file() and (artefact or name in _IN_PROGRESS)
        if path.is_symlink() or not (known or is_temporary(path)):
            foreign.append(path)
    return foreign


def half_written_figures(paths: StudyPaths) -> list[Path]:
    """Return the directories of figures for TensorBoard that a killed process left, and that hold no more."""
    found = [
        path for path in entries(paths.tensorboard) if FIGURES.fullmatch(path.name) and path.name[0] == "."
    ]
    return [path for path in found if path.is_dir() and not path.is_symlink() and not _foreign_events(path)]


def _foreign_events(directory: Path) -> list[Path]:
    """Return the paths below a directory that are neither directories nor event files."""
    paths = sorted(directory.rglob("*")) if directory.is_dir() else []
    return [
        path for path in paths if path.is_symlink() or not (path.is_dir() or _EVENTS.fullmatch(path.name))
    ]


def entries(directory: Path) -> list[Path]:
    """Return a directory's entries, sorted; [] if there is no such directory."""
    return sorted(directory.iterdir()) if directory.is_dir() else []
