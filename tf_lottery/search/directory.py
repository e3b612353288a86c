"""A search's directory: begun, or gone on with."""

import hashlib
import json
from typing import Any

from tf_lottery import atomic
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths

FILE = "search.json"


def open_directory(paths: StudyPaths, study: StudyConfig, settings: dict[str, Any]) -> None:
    """Make the directory, or check that it holds this search.

    Raises:
        LotteryError: it holds something else, a damaged file, or can't be written.
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
    if others := [path.name for path in paths.root.iterdir() if not path.name.startswith(".")]:
        raise LotteryError(
            f"Expected a new or empty directory, or that of this search. Received: {paths.root}, which holds "
            f"{', '.join(sorted(others)[:3])}"
        )
    atomic.write_json(file, {**content, "digest": _digest(content)})


def _read(file) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("digest") != _digest(content):
            raise ValueError("digest differs")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise LotteryError(
            f"Expected {file} as it was written. Received: other contents ({error}). Use another directory."
        ) from error
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
