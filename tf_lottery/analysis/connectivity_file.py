"""The measured lines of a study, kept in its directory, so that they are measured once."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_lottery import atomic
from tf_lottery.paths import StudyPaths
from tf_lottery.store.record_file import digest

_VERSION = 1
_DAMAGE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
Errors = dict[str, tuple[float, ...]]
"""What was measured -> errors in percent, one a point."""


class Measured:
    """The lines that were measured between runs. What is damaged counts as not measured.

    Args:
        paths: The paths of the study.
        points: The number of points of a line.
        batches: How many batches statistics were recalibrated on.
    """

    def __init__(self, paths: StudyPaths, points: int, batches: int):
        self._path, self._settings = paths.connectivity, {"points": points, "batches": batches}
        self._lines = _read(self._path)

    def find(self, first: str, second: str) -> Errors | None:
        """Return the errors on the line between two runs, None if it wasn't measured.

        Args:
            first: The key of the first run.
            second: The key of the second run.
        """
        line = self._lines.get(_name({"runs": [first, second], **self._settings}))
        return None if line is None else {what: tuple(each) for what, each in line["errors"].items()}

    def keep(
        self, first: str, second: str, errors: Mapping[str, Sequence[float]], keys: Collection[str]
    ) -> None:
        """Keep a line, and write the file.

        Args:
            first: The key of the first run.
            second: The key of the second run.
            errors: What was measured -> errors in percent.
            keys: The keys of the study's finished runs; lines between others are dropped.
        """
        line = {"runs": [first, second], **self._settings}
        line["errors"] = {what: list(each) for what, each in errors.items()}
        kept = {name: each for name, each in self._lines.items() if set(each["runs"]) <= set(keys)}
        self._lines = kept | {_name(line): line}
        content = {"version": _VERSION, "lines": list(self._lines.values())}
        atomic.write_json(self._path, content | {"digest": digest(content)})


def _name(line: Mapping[str, Any]) -> tuple[str, str, int, int]:
    first, second = line["runs"]
    return first, second, line["points"], line["batches"]


def _read(path: Path) -> dict[tuple[str, str, int, int], dict[str, Any]]:
    try:
        content = json.loads(path.read_bytes())
        if content.pop("digest") != digest(content) or content["version"] != _VERSION:
            return {}
        lines = {_name(line): line for line in content["lines"]}
        return lines if all(map(_is_whole, lines.values())) else {}
    except _DAMAGE:
        return {}


def _is_whole(line: Mapping[str, Any]) -> bool:
    errors = line["errors"]
    return errors.keys() >= {"validation", "test"} and all(
        len(each) == line["points"] and all(math.isfinite(value) for value in each)
        for each in errors.values()
    )
