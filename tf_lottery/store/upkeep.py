"""How much space a study's runs take on the disk, and what can be deleted."""

import contextlib
import itertools
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tf_lottery.atomic import is_temporary
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.lock import held
from tf_lottery.method.plan import foreseen, reached, spent
from tf_lottery.method.spec import Record
from tf_lottery.paths import RUN_NAME, StudyPaths
from tf_lottery.store.ours import entries, foreign, foreign_in, half_written_figures, is_set_aside
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import is_sealed

_KINDS = ("weights", "optimizer", "masks", "rewind", "checkpoint")


def sizes(paths: StudyPaths) -> Counter[str]:
    """Return the bytes on the disk of each kind of file: `weights`, `masks`, ..., `other`."""
    totals: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for path, size in _files(paths.root):
        with contextlib.suppress(FileNotFoundError):
            at = path.stat()
            if (at.st_dev, at.st_ino) in seen:
                continue  # another name of a file that was counted
            seen.add((at.st_dev, at.st_ino))
        name = path.parent.name if path.parent.name == "rewind" else path.name
        totals[next((kind for kind in _KINDS if name.startswith(kind)), "other")] += size
    return totals


def readable(size: int) -> str:
    """Return a number of bytes as people read it: `1.2 MB`."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} bytes"


def trim(study: StudyConfig, store: Store, records: Iterable[Record], winner: str | None = None) -> None:
    """Delete what `storage.keep` says isn't kept, as soon as nothing will need it.

    Args:
        study: The study, with its data's digest.
        store: The store that holds its runs.
        records: The records of its finished runs.
        winner: once the study is finished and reported: key of the run whose ticket is written,
            which keeps its early-stop weights; all others' go.
    """
    if store.storage.keep != "masks" or not store.writes:
        return
    records = list(records)
    for key in spent(study, records):
        store.paths.run(key).weights_last.unlink(missing_ok=True)
    if winner is not None:
        for record in records:
            if record.key != winner:
                store.paths.run(record.key).weights_early_stop.unlink(missing_ok=True)


@dataclass(frozen=True)
class Rubbish:
    """Something that can be deleted.

    Attributes:
        path: The file or directory.
        why: The reason, in words.
        size: The number of bytes that it takes on the disk.
    """

    path: Path
    why: str
    size: int


def rubbish(study: StudyConfig, store: Store) -> list[Rubbish]:
    """Return what the study has no use for.

    These are runs that its config no longer asks for, leftovers of interrupted runs, what was set aside as
    damaged, and files that were written only in part.

    Args:
        study: The study, as its directory holds it.
        store: The store of the study.
    """
    paths, records = store.paths, store.records()
    wanted = _wanted(study, records)
    candidates = [(path, "damaged") for path in entries(paths.damaged) if is_set_aside(path)]
    for run in entries(paths.runs):
        if run.name.startswith(".") and RUN_NAME.fullmatch(run.name[1:]):
            candidates.append((run, "half taken over"))
        elif RUN_NAME.fullmatch(run.name) and run.name not in wanted:
            candidates.append((run, "not asked for"))
        elif RUN_NAME.fullmatch(run.name) and (run / "record.json").exists():
            temporary = [path for path in run.glob(".*") if is_temporary(path)]
            candidates += [(path, "left over") for path in (*temporary, *run.glob("checkpoint.npz"))]
    candidates += [(path, "half written") for path in entries(paths.root) if is_temporary(path)]
    candidates = [(path, why) for path, why in candidates if not foreign_in(path)]
    candidates += [(path, "half written") for path in half_written_figures(paths)]
    candidates = [(path, why) for path, why in candidates if why != "half written" or _is_old(path)]
    return [Rubbish(path, why, sum(size for _, size in _files(path))) for path, why in candidates]


def collect_rubbish(study: StudyConfig, store: Store) -> list[Rubbish]:
    """Delete what `rubbish` finds, except runs that another process trains, and return what was deleted."""
    deleted = []
    for each in rubbish(study, store):
        is_run = each.path.parent == store.paths.runs
        of_run = each.path if is_run else each.path.parent
        with held(store.paths.run_lock(of_run.name.lstrip("."))) as is_free:
            # The run may have been finished, or trained again, meanwhile.
            if is_free and each in rubbish(study, store):
                _delete(each.path)
                deleted.append(each)
    return deleted


def _wanted(study: StudyConfig, records: list[Record]) -> set[str]:
    """Return the directory names of all runs that the study asks for, or may ask for once missing earlier
    runs are finished."""
    finished = {record.key: record for record in records}
    wanted = {spec.key for spec in (*reached(study, finished), *(foreseen(study) or []))}
    if foreseen(study) is None:
        wanted |= {record.key for record in records if record.spec.root in wanted}
    return {key[:16] for key in wanted}


def _is_old(path: Path) -> bool:
    """Return whether a file is so old that no process can still be writing it."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > 600
    return False


def remove(paths: StudyPaths) -> int:
    """Delete a study's directory and return how many bytes it took on the disk.

    Raises:
        LotteryError: If tf_lottery didn't write the study, the directory holds anything else, or another
            process uses it.
    """
    if paths.root.is_symlink():
        raise LotteryError(f"{paths.root} is a link. Name the directory that it leads to.")
    if not is_sealed(paths):
        raise LotteryError(
            f"{paths.root} may be a project of yours: its {paths.study.name} wasn't written by tf_lottery, "
            "or is damaged. Delete it yourself."
        )
    if others := list(itertools.islice(foreign(paths), 4)):
        raise LotteryError(
            f"{paths.root} holds more than a study: "
            f"{', '.join(str(path.relative_to(paths.root)) for path in others[:3])}"
            f"{', ...' * (len(others) > 3)}. Move that away first."
        )
    for lock in entries(paths.locks):
        with held(lock) as is_free:
            if not is_free:
                raise LotteryError(f"{paths.root} is in use by another process. Stop that process first.")
    size = sum(size for _, size in _files(paths.root))
    shutil.rmtree(paths.root)
    return size


def _files(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield files and their sizes, without those that another process deletes meanwhile."""
    if path.is_file():
        yield path, path.stat().st_size
    for root, _, names in os.walk(path):
        for name in names:
            try:
                yield Path(root, name), os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
