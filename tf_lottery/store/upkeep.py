"""What a study's runs take on the disk, and what of it can go."""

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
from tf_lottery.store.ours import entries, foreign, foreign_in, is_aside
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import is_sealed

_KINDS = ("weights", "optimizer", "masks", "rewind", "checkpoint")


def sizes(paths: StudyPaths) -> Counter[str]:
    """Return kind of file -> bytes on the disk: `weights`, `masks`, ..., `other`."""
    found: Counter[str] = Counter()
    for path, size in _files(paths.root):
        name = path.parent.name if path.parent.name == "rewind" else path.name
        found[next((kind for kind in _KINDS if name.startswith(kind)), "other")] += size
    return found


def readable(size: int) -> str:
    """Return a number of bytes as people read it: `1.2 MB`."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} bytes"


def trim(study: StudyConfig, store: Store, records: Iterable[Record], winner: str | None = None) -> None:
    """Delete what `storage.keep` says isn't kept, as soon as nothing will need it.

    Args:
        study: with its data's digest.
        store: of the study.
        records: of its finished runs.
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
    """Something that can go: where it lies, why, and its bytes."""

    path: Path
    why: str
    size: int


def rubbish(study: StudyConfig, store: Store) -> list[Rubbish]:
    """Return what the study has no use for: runs that its config asks for no longer, what was
    interrupted and belongs to none, what was set aside as damaged, what was half written.

    Args:
        study: as its directory holds it.
        store: of the study.
    """
    paths, records = store.paths, store.records()
    wanted = _wanted(study, records)
    found = [(path, "damaged") for path in entries(paths.damaged) if is_aside(path)]
    for run in entries(paths.runs):
        if run.name.startswith(".") and RUN_NAME.fullmatch(run.name[1:]):
            found.append((run, "half taken over"))
        elif RUN_NAME.fullmatch(run.name) and run.name not in wanted:
            found.append((run, "not asked for"))
        elif RUN_NAME.fullmatch(run.name) and (run / "record.json").exists():
            left = [path for path in run.glob(".*") if is_temporary(path)]
            found += [(path, "left over") for path in (*left, *run.glob("checkpoint.npz"))]
    found += [(path, "half written") for path in entries(paths.root) if is_temporary(path)]
    found = [(path, why) for path, why in found if not foreign_in(path)]
    found = [(path, why) for path, why in found if why != "half written" or _is_old(path)]
    return [Rubbish(path, why, sum(size for _, size in _files(path))) for path, why in found]


def collect_rubbish(study: StudyConfig, store: Store) -> list[Rubbish]:
    """Delete what `rubbish` finds, runs that another process trains excepted; return what went."""
    gone = []
    for each in rubbish(study, store):
        is_run = each.path.parent == store.paths.runs
        of_run = each.path if is_run else each.path.parent
        with held(store.paths.run_lock(of_run.name.lstrip("."))) as free:
            # It may have been finished, or trained again, meanwhile.
            if free and each in rubbish(study, store):
                _delete(each.path)
                gone.append(each)
    return gone


def _wanted(study: StudyConfig, records: list[Record]) -> set[str]:
    """Names of the directories of all runs that the study asks for, or may come to ask for,
    though an earlier run is missing now."""
    finished = {record.key: record for record in records}
    wanted = {spec.key for spec in (*reached(study, finished), *(foreseen(study) or []))}
    if study.pruning.rounds is None:
        wanted |= {record.key for record in records if record.spec.root in wanted}
    return {key[:16] for key in wanted}


def _is_old(path: Path) -> bool:
    """Whether nobody is writing it any more."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > 600
    return False


def remove(paths: StudyPaths) -> int:
    """Delete a study's directory; return the bytes that it took.

    Raises:
        LotteryError: if it isn't a study that we wrote, holds anything else, or another process trains one of
            its runs.
    """
    if paths.root.is_symlink():
        raise LotteryError(f"Expected a directory. Received: {paths.root}, a link. Name where it leads.")
    if not is_sealed(paths):
        raise LotteryError(
            f"Expected a study that tf_lottery wrote. Received: {paths.root}, whose {paths.study.name} isn't "
            "sealed: a project of yours, or damaged. Delete it yourself."
        )
    if others := list(itertools.islice(foreign(paths), 4)):
        raise LotteryError(
            f"Expected a directory with nothing but a study in it. Received: {paths.root}, with "
            f"{', '.join(str(path.relative_to(paths.root)) for path in others[:3])}"
            f"{', ...' * (len(others) > 3)}. Move that away first."
        )
    for lock in entries(paths.locks):
        with held(lock) as free:
            if not free:
                raise LotteryError(
                    f"Expected {paths.root} to be nobody's now. Received: a study that another process is "
                    "running. Stop that first."
                )
    size = sum(size for _, size in _files(paths.root))
    shutil.rmtree(paths.root)
    return size


def _files(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield files and their bytes; what another process deletes meanwhile is passed over."""
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
