"""Runs that a neighbouring study has trained already: they are taken over, not trained again.

Each study's directory holds all its runs, so that it can be copied or deleted as it is. What
two studies share lies on the disk once, as hard links.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tf_lottery import atomic
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import RunPaths, StudyPaths
from tf_lottery.store.environment import check_same
from tf_lottery.store.ours import foreign_in
from tf_lottery.store.store import Store
from tf_lottery.workers import MULTI_WORKER


class Elsewhere:
    """The studies beside one, in the same parent directory.

    Args:
        store: of the study that takes over.
        strict_environment: take nothing from another environment.
    """

    def __init__(self, store: Store, strict_environment: bool = False):
        self._store, self._strict = store, strict_environment
        self._sources = (
            [Store(StudyPaths(root)) for root in self._neighbours()] if store.writes and store.adopts else []
        )
        self._looked: set[str] = set()

    def adopt(self, spec: RunSpec, noted: Callable[[str], None]) -> bool:
        """Take a run over, if one that can be proven to be the same is there.

        A run whose network or augmentation is a user's own function isn't: its code isn't
        part of the key. Nor is one that several workers train together.

        Args:
            spec: of the run.
            noted: hears of it.

        Returns:
            Whether the run is finished now.
        """
        if spec.key in self._looked:
            return False
        self._looked.add(spec.key)
        for source, record in self._found(spec):
            with self._store.claim(spec.key) as mine:
                if not mine or self._store.find(spec.key) is not None:
                    return False
                if _link(source.paths.run(spec.key), self._store.paths.run(spec.key), record):
                    noted(f"{spec.describe()}: taken over from {source.paths.root}")
                    return True
        return False

    def has(self, spec: RunSpec) -> bool:
        """Return whether a run can be taken over."""
        return next(self._found(spec), None) is not None

    def _found(self, spec: RunSpec) -> Iterator[tuple[Store, Record]]:
        for source in self._sources if _can_be_proven(spec) else []:
            try:
                record = source.find(spec.key)
                if record is None or not set(spec.snapshots) <= set(record.spec.snapshots):
                    continue
                if self._strict:
                    check_same([record])
                if source.complete(record):
                    yield source, record
            except LotteryError:
                continue  # damaged, or of another environment

    def _neighbours(self) -> list[Path]:
        own = self._store.paths.root.resolve()
        studies = sorted(path.parent for path in own.parent.glob("*/study.yaml"))
        return [root for root in studies if root.resolve() != own]


def _can_be_proven(spec: RunSpec) -> bool:
    """Not if a user's code is in it, or if other workers would have to take the run over, too."""
    own_code = spec.model.build or any(":" in name for name in spec.data.augment)
    return not own_code and spec.training.strategy != MULTI_WORKER


def _link(source: RunPaths, target: RunPaths, record: Record) -> bool:
    """Bring a run's files over beside its place, then rename: whole, or not at all.

    Returns:
        Whether they were still there.
    """
    if foreign_in(target.root):
        return False  # what isn't ours isn't replaced
    beside = RunPaths(target.root.with_name(f".{target.root.name}"))
    shutil.rmtree(beside.root, ignore_errors=True)
    names = [source.artefact(name).relative_to(source.root) for name in record.digests]
    try:
        for name in (*names, source.record.relative_to(source.root)):
            atomic.make_directory((beside.root / name).parent)
            try:
                os.link(source.root / name, beside.root / name)
            except OSError:  # another file system
                shutil.copyfile(source.root / name, beside.root / name)
        shutil.rmtree(target.root, ignore_errors=True)
        os.replace(beside.root, target.root)
    except FileNotFoundError:
        shutil.rmtree(beside.root, ignore_errors=True)
        return False
    except OSError as error:
        shutil.rmtree(beside.root, ignore_errors=True)
        raise StudyError(
            f"Expected to write {target.root}. Received: {error.strerror or error}. Make room, then "
            "repeat the command."
        ) from error
    return True
