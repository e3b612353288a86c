"""A search's directory, which is begun or gone on with."""

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from tf_lottery import arrays, atomic
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths

FILE = "search.json"


class Temporary:
    """A directory that lives as long as this. (`tempfile.TemporaryDirectory` warns when it goes.)"""

    def __init__(self):
        self.name = tempfile.mkdtemp(prefix="tf_lottery_")
        weakref.finalize(self, _remove, self.name, os.getpid())


def _remove(name: str, owner: int) -> None:
    """Remove a directory, in the process that made it: a forked child isn't its owner."""
    if os.getpid() == owner:
        shutil.rmtree(name, ignore_errors=True)


def check_directory(root: Path) -> None:
    """Check that a directory is new, empty or a search's, before anything is written there.

    Raises:
        LotteryError: If it holds something else.
    """
    if not root.is_dir() or (root / FILE).exists():
        return
    ours = (path.name for path in root.iterdir() if path.name == ".lock" or atomic.is_temporary(path))
    if others := {path.name for path in root.iterdir()} - set(ours):
        raise LotteryError(
            f"Expected a new or empty directory, or that of this search. Received: {root}, which holds "
            f"{', '.join(sorted(others)[:3])}"
        )


def open_directory(paths: StudyPaths, study: StudyConfig, settings: dict[str, Any]) -> None:
    """Make the directory, or check that it holds this search.

    Raises:
        LotteryError: If it holds another search or a damaged file, or can't be written.
    """
    atomic.make_directory(paths.root)
    file = paths.root / FILE
    content = {
        **settings,
        "data": study.data.digest,
        "pruning": study.pruning.model_dump(
            mode="json", exclude={"rounds", "target_density", "max_accuracy_drop"}
        ),
        "rewind": study.rewind.model_dump(mode="json"),
        "seed": study.seed,
    }
    if file.exists():
        present = _read(file)
        if differing := sorted(k for k in content | present if content.get(k) != present.get(k)):
            raise LotteryError(
                f"Expected {paths.root} to be new or to hold this search. Received: one that differs in "
                f"{', '.join(differing)}. Use another directory."
            )
        return
    atomic.write_json(file, {**content, "digest": _digest(content)})


def theta_0(paths: StudyPaths, initial: arrays.Arrays) -> tuple[arrays.Arrays, bool]:
    """Return the weights at step 0 that the directory holds, or keep these; and whether it held them.

    A script that is run again draws other weights, or has trained its model meanwhile.

    Raises:
        LotteryError: If they fail their checksum.
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
        raise LotteryError(f"{file} fails its checksum ({error}). Use another directory.") from error
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
