"""What in a study's directory is the study's, by exact names: nothing else is ever deleted."""

import re
from collections.abc import Iterator
from pathlib import Path

from tf_lottery.atomic import is_temporary
from tf_lottery.paths import ARTEFACT, RUN_NAME, StudyPaths

_ASIDE = re.compile(r"[0-9a-f]{16}(-checkpoint)?-\d{1,6}(\.npz)?")
_LOCKS = re.compile(r"[0-9a-f]{16}|tensorboard|shard_\d+_of_\d+")
_EVENTS = re.compile(r"events\.out\.tfevents\..+")
_IN_PROGRESS = {"record.json", "checkpoint.npz", "progress.json", "failed.json"}


def is_aside(path: Path) -> bool:
    """Return whether something in `damaged/` was set aside there by us."""
    return bool(_ASIDE.fullmatch(path.name))


def foreign(paths: StudyPaths) -> Iterator[Path]:
    """Yield what lies in a study's directory and isn't the study's."""
    own = {paths.study.name, paths.picture.name, paths.ticket.name, ".lock"}
    directories = {path.name for path in (paths.locks, paths.damaged, paths.runs, paths.tensorboard)}
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
        yield from foreign_in(path) if is_aside(path) else [path]
    for path in entries(paths.locks):
        if not _LOCKS.fullmatch(path.name) or path.is_dir():
            yield path
    for path in sorted(paths.tensorboard.rglob("*")) if paths.tensorboard.is_dir() else []:
        if path.is_symlink() or not (path.is_dir() or _EVENTS.fullmatch(path.name)):
            yield path


def foreign_in(run: Path) -> list[Path]:
    """Return what lies in a run's directory and isn't the run's. Args: run: a directory, or a file of it."""
    found = []
    for path in sorted(run.rglob("*")) if run.is_dir() else []:
        name = str(path.relative_to(run))
        artefact = bool(ARTEFACT.fullmatch(name.removesuffix(".npz").removesuffix(".json")))
        known = path.is_dir() if name == "rewind" else path.is_file() and (artefact or name in _IN_PROGRESS)
        if path.is_symlink() or not (known or is_temporary(path)):
            found.append(path)
    return found


def entries(directory: Path) -> list[Path]:
    """Return what lies in a directory, in order; [] if there is none."""
    return sorted(directory.iterdir()) if directory.is_dir() else []
