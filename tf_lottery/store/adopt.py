"""Taking over runs that a neighbouring study has trained already, so that they aren't trained again.

Each study's directory holds all its runs, so that it can be copied or deleted as a whole. Files that
two studies share are hard links and take up disk space once.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tf_lottery import atomic
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.importing import own_code
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import RunPaths, StudyPaths
from tf_lottery.store.environment import check_same
from tf_lottery.store.ours import foreign_in
from tf_lottery.store.store import Store
from tf_lottery.workers import MULTI_WORKER


class Elsewhere:
    """The other studies in the same parent directory.

    Args:
        store: The store of the study that takes runs over.
        strict_environment: Whether to take only runs that were trained in this process's environment.
    """

    def __init__(self, store: Store, strict_environment: bool = False):
        self._store, self._strict = store, strict_environment
        looks = store.writes and store.adopts and not own_code()
        self._sources = [Store(StudyPaths(root)) for root in self._neighbours()] if looks else []
        self._asked_for: set[str] = set()

    def adopt(self, spec: RunSpec, noted: Callable[[str], None]) -> bool:
        """Take a run over, if a neighbouring study has one that is provably the same.

        A run whose network or augmentation is a user's own function isn't taken over, because
        the function's code isn't part of the key. Nor is one that several workers train together. Where
        modules of the user's own add to tf_lottery, nothing is taken over, and nothing that was trained so.

        Args:
            spec: The run to take over.
            noted: A function that is called with a message if the run was taken over.

        Returns:
            Whether the run was taken over. A run is looked for only once.
        """
        if spec.key in self._asked_for:
            return False
        self._asked_for.add(spec.key)
        for source, record in self._matches(spec):
            with self._store.claim(spec.key) as is_claimed:
                if not is_claimed or self._store.find(spec.key) is not None:
                    return False
                if link(source.paths.run(spec.key), self._store.paths.run(spec.key), record):
                    noted(f"{spec.describe()}: taken over from {source.paths.root}")
                    return True
        return False

    def has(self, spec: RunSpec) -> bool:
        """Return whether a run can be taken over."""
        return next(self._matches(spec), None) is not None

    def _matches(self, spec: RunSpec) -> Iterator[tuple[Store, Record]]:
        for source in self._sources if _is_provable(spec) else []:
            try:
                record = source.find(spec.key)
                if record is None or not set(spec.snapshots) <= set(record.spec.snapshots):
                    continue
                if record.checks.get("own_code"):
                    continue
                if self._strict:
                    check_same([record])
                if source.complete(record):
                    yield source, record
            except LotteryError:
                continue  # damaged, or from another environment

    def _neighbours(self) -> list[Path]:
        own = self._store.paths.root.resolve()
        files = (*own.parent.glob("*/study.yaml"), *own.parent.glob("*/tuning.yaml"))
        studies = sorted({path.parent for path in files})
        return [root for root in studies if root.resolve() != own]


def _is_provable(spec: RunSpec) -> bool:
    """Return False if a user's code is part of the run, or other workers would have to take it over, too."""
    has_own_code = spec.model.build or any(":" in name for name in spec.data.augment)
    return not has_own_code and spec.training.strategy != MULTI_WORKER


def link(source: RunPaths, target: RunPaths, record: Record, only: Iterable[str] | None = None) -> bool:
    """Link a run's files into a temporary directory and rename it, so that all of them arrive, or none.

    Args:
        source: The run.
        target: Where it is linked to.
        record: Its record.
        only: The names of the files to link, beside the record. Default: all that the record names.

    Returns:
        Whether the run was linked. It isn't if its files were deleted meanwhile, or if the target holds files
        that aren't a run's.
    """
    if foreign_in(target.root):
        return False
    temporary = RunPaths(target.root.with_name(f".{target.root.name}"))
    shutil.rmtree(temporary.root, ignore_errors=True)
    names = [source.artefact(name).relative_to(source.root) for name in only or record.digests]
    try:
        for name in (*names, source.record.relative_to(source.root)):
            atomic.make_directory((temporary.root / name).parent)
            try:
                os.link(source.root / name, temporary.root / name)
            except OSError:  # such as on another file system
                shutil.copyfile(source.root / name, temporary.root / name)
        shutil.rmtree(target.root, ignore_errors=True)
        os.replace(temporary.root, target.root)
    except FileNotFoundError:
        shutil.rmtree(temporary.root, ignore_errors=True)
        return False
    except OSError as error:
        shutil.rmtree(temporary.root, ignore_errors=True)
        raise StudyError(
            f"{target.root} can't be written ({error.strerror or error}). Make room, then repeat the command."
        ) from error
    return True
