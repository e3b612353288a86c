"""Which files an export is made of, and whether a directory is an export of ours and nothing else."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_lottery.arrays import file_digest
from tf_lottery.errors import LotteryError

KIND = "tf_lottery.export"
REPORT = "report.json"
"""In a directory of several exports; of a single one beside it, `NAME.report.json`."""

_NAMED = 3
"""Foreign files that a message names."""


def beside(path: Path) -> Path:
    """Return where the report of a single export lies."""
    return path.with_name(f"{path.name}.{REPORT}")


def files_of(path: Path) -> dict[str, str]:
    """Return relative name -> sha256 of all files of an export, but for the report within it."""
    if not path.is_dir():
        return {path.name: _digest(path)}
    names = [name for name in _names(path) if name != REPORT]
    return {name: _digest(path / name) for name in names}


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report with its digest."""
    return {**content, "digest": _seal(content)}


def check_ours(path: Path) -> None:
    """Check that a directory is an earlier export, as it was written, and holds nothing else.

    Args:
        path: a directory; empty will do.

    Raises:
        LotteryError: naming up to three files that aren't of the export.
    """
    there = _names(path)
    if not there:
        return
    reports = [each for each in (path / REPORT, beside(path)) if each.is_file()]
    listed = [found for each in reports if (found := _listed(each)) is not None]
    if not listed:
        looks = reports or {"saved_model.pb", "model.xml"} & set(there)
        what = (
            "an export without a whole report that lists its files. Look what is in it, and delete it"
            if looks
            else f"a directory of other things ({_few(there)}). Move them"
        )
        raise LotteryError(
            f"Expected an earlier export to replace. Received: {path}, {what}, or choose another path."
        )
    foreign = min((_foreign(path, there, files) for files in listed), key=len)
    if foreign:
        raise LotteryError(
            "Expected an earlier export to replace, and nothing else. Received: "
            f"{path}, with {_few(foreign)}, not as its report lists it. Move it, or choose another path."
        )


def check_report(path: Path) -> None:
    """Check that where an export's report will lie there is none, or one of ours.

    Raises:
        LotteryError: something else is there.
    """
    report = beside(path)
    if os.path.lexists(report) and not _is_report(report):
        raise LotteryError(
            "Expected nothing, or an earlier report, where the export's report will lie. Received: "
            f"{report}, a file of yours. Choose another path."
        )


def _is_report(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ours = _listed(path) is not None or {"model", "rows"} <= content.keys()  # an older version's
        return ours and path.is_file() and not path.is_symlink()
    except (OSError, ValueError, AttributeError):
        return False


def _foreign(path: Path, there: list[str], files: Mapping[str, str]) -> list[str]:
    """What isn't listed, or has other contents."""
    return [
        name
        for name in there
        if not (name == REPORT and _listed(path / name) == files)
        and ((path / name).is_symlink() or files.get(name) != _digest(path / name))
    ]


def _listed(report: Path) -> dict[str, str] | None:
    """Files that a report of ours lists; None if it isn't one, or isn't as it was written."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        seal = content.pop("digest", None)
        whole = content.get("format") == KIND and seal == _seal(content)
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    files = content.get("files")
    return files if whole and isinstance(files, dict) else None


def _names(path: Path) -> list[str]:
    """Relative names of all that isn't a directory. (An empty one is no loss.)"""
    found = []
    for root, directories, files in os.walk(path):
        links = [name for name in directories if (Path(root) / name).is_symlink()]
        found += [(Path(root) / name).relative_to(path).as_posix() for name in (*files, *links)]
    return sorted(found)


def _digest(path: Path) -> str:
    if not path.is_file():  # a pipe, a broken link
        return ""
    return file_digest(path)


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
