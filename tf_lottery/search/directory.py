"""A search's directory: starts a new one, or checks the one to continue in."""

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from tf_lottery import arrays, atomic
from tf_lottery.config import PruningConfig, RewindConfig, Strict, StudyConfig
from tf_lottery.errors import StudyError
from tf_lottery.paths import StudyPaths

FILE = "search.json"


class Temporary:
    """A directory that exists as long as this object. (`tempfile.TemporaryDirectory` warns when deleted.)"""

    def __init__(self):
        self.name = tempfile.mkdtemp(prefix="tf_lottery_")
        weakref.finalize(self, _remove, self.name, os.getpid())


def _remove(name: str, owner: int) -> None:
    """Remove a directory in the process that made it. A forked child doesn't own it."""
    if os.getpid() == owner:
        shutil.rmtree(name, ignore_errors=True)


def check_directory(root: Path) -> None:
    """Check that a directory is new, empty or a search's, before anything is written to it.

    Raises:
        StudyError: If the directory holds something else.
    """
    if not root.is_dir() or (root / FILE).exists():
        return
    names = [path.name for path in root.iterdir() if path.name != ".lock" and not atomic.is_temporary(path)]
    if names:
        raise StudyError(
            f"{root} isn't a search's directory: it holds {', '.join(sorted(names)[:3])}. Use a new or empty "
            "directory, or that of this search."
        )


def open_directory(paths: StudyPaths, study: StudyConfig, settings: dict[str, Any]) -> None:
    """Make the directory, or check that it holds this search.

    Raises:
        StudyError: If the directory holds another search or a damaged file, or can't be written to.
    """
    atomic.make_directory(paths.root)
    file = paths.root / FILE
    content = {
        **settings,
        "data": study.data.digest,
        "pruning": _settings(study.pruning),
        "rewind": _settings(study.rewind),
        "seed": study.seed,
    }
    if file.exists():
        present = _read(file)
        for section, default in (("pruning", PruningConfig(rounds=1)), ("rewind", RewindConfig())):
            # An older version, which had fewer settings, has left them at what are their defaults now.
            present[section] = _settings(default) | present.get(section, {})
        if differing := sorted(k for k in content | present if content.get(k) != present.get(k)):
            raise StudyError(
                f"{paths.root} holds another search, which differs in {', '.join(differing)}. "
                "Use another directory."
            )
        return
    atomic.write_json(file, {**content, "digest": _digest(content)})


def _settings(section: Strict) -> dict[str, Any]:
    """Return a section's settings, except the rules that end a search."""
    return section.model_dump(mode="json", exclude={"rounds", "target_density", "max_accuracy_drop"})


def theta_0(paths: StudyPaths, initial: arrays.Arrays) -> tuple[arrays.Arrays, bool]:
    """Return the stored weights at step 0, or store the given ones; and whether there were stored ones.

    A script that runs again draws other weights, or has trained its model in the meantime.

    Raises:
        LotteryError: If the stored weights fail their checksum.
    """
    file = paths.root / "theta_0.npz"
    if file.exists():
        return arrays.load_sealed(file), True
    arrays.save_sealed(file, initial)
    return initial, False


def _read(file) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("digest") != _digest(content):
            raise ValueError("digest differs")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise StudyError(f"{file} fails its checksum ({error}). Use another directory.") from error
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
