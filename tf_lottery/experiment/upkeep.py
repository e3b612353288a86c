"""What a study's runs take on the disk, and what of it can go."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.plan import reached
from tf_lottery.experiment.spec import Record, RunSpec
from tf_lottery.experiment.store import Store
from tf_lottery.lock import held
from tf_lottery.paths import StudyPaths

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


def trim(store: Store, records: Iterable[Record], waiting: Iterable[RunSpec], reported: bool = False) -> None:
    """Delete what `storage.keep` says isn't kept, as soon as nothing waits for it.

    Args:
        store: of the study.
        records: of its finished runs.
        waiting: runs that are being trained, or can start now.
        reported: whether the study's ticket is written, so that early-stop weights can go, too.
    """
    if store.storage.keep != "masks" or not store.writes:
        return
    needed = {spec.parent for spec in waiting}
    for record in records:
        run = store.paths.run(record.key)
        if record.key not in needed:
            run.weights_last.unlink(missing_ok=True)
        if reported:
            run.weights_early_stop.unlink(missing_ok=True)


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
    paths = store.paths
    finished = {record.key: record for record in store.records()}
    wanted = {spec.key[:16] for spec in reached(study, finished)}
    found = [(path, "damaged") for path in _children(paths.damaged)]
    for run in _children(paths.runs):
        if run.name.startswith("."):
            found.append((run, "half taken over"))
        elif run.name not in wanted:
            found.append((run, "not asked for"))
        elif (run / "record.json").exists():
            found += [(path, "left over") for path in (*run.glob(".*"), *run.glob("checkpoint.npz"))]
    found += [(path, "half written") for path in _children(paths.root) if path.name.startswith(".")]
    return [Rubbish(path, why, sum(size for _, size in _files(path))) for path, why in found]


def collect_rubbish(study: StudyConfig, store: Store) -> list[Rubbish]:
    """Delete what `rubbish` finds, runs that another process trains excepted; return what went."""
    gone = []
    for each in rubbish(study, store):
        of_run = each.path if each.path.parent == store.paths.runs else each.path.parent
        with held(store.paths.run_lock(of_run.name.lstrip("."))) as free:
            if free:
                _delete(each.path)
                gone.append(each)
    return gone


def remove(paths: StudyPaths) -> int:
    """Delete a study's directory; return the bytes that it took.

    Raises:
        LotteryError: if another process trains one of its runs.
    """
    for lock in _children(paths.locks):
        with held(lock) as free:
            if not free:
                raise LotteryError(
                    f"Expected {paths.root} to be nobody's now. Received: a study that another process is "
                    "running. Stop that first."
                )
    size = sum(size for _, size in _files(paths.root))
    shutil.rmtree(paths.root)
    return size


def _children(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


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
