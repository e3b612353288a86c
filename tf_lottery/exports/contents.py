"""The files that an export consists of, and whether a directory is an unchanged export and nothing else."""

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
"""The report in a directory of several exports. That of a single export is `NAME.report.json`, beside it."""

_NAMED = 3
"""How many foreign files a message names."""


def report_path(path: Path) -> Path:
    """Return the path of a single export's report."""
    return path.with_name(f"{path.name}.{REPORT}")


def files_of(path: Path) -> dict[str, str]:
    """Return relative name -> sha256 of all files of an export, except for the report in it."""
    if not path.is_dir():
        return {path.name: _digest(path)}
    names = [name for name in _names(path) if name != REPORT]
    return {name: _digest(path / name) for name in names}


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's content with its digest added."""
    return {**content, "digest": _content_digest(content)}


def check_replaceable(path: Path) -> None:
    """Check that a directory is an earlier export, unchanged since it was written, and holds nothing else.

    Args:
        path: A directory. An empty one is replaceable, too.

    Raises:
        LotteryError: If it holds other files. The message names up to three of them.
    """
    existing = _names(path)
    if not existing:
        return
    reports = [each for each in (path / REPORT, report_path(path)) if each.is_file()]
    listings = [files for each in reports if (files := _listed(each)) is not None]
    if not listings:
        if reports or {"saved_model.pb", "model.xml"} & set(existing):
            raise LotteryError(
                f"{path} looks like an export, but has no intact report that lists its files, so it isn't "
                "replaced. Look at what is in it and delete it, or choose another path."
            )
        raise LotteryError(
            f"{path} is not an earlier export: it holds {_few(existing)}. Move that, or choose another path."
        )
    foreign = min((_foreign(path, existing, files) for files in listings), key=len)
    if foreign:
        raise LotteryError(
            f"{path} holds {_few(foreign)}, which its report doesn't list, or lists with other contents. "
            "Move that, or choose another path."
        )


def check_report(path: Path) -> None:
    """Check that the place of an export's report is free, or holds an earlier report.

    Raises:
        LotteryError: If another file is in that place.
    """
    report = report_path(path)
    if os.path.lexists(report) and not _is_report(report):
        raise LotteryError(
            f"The export's report would replace {report}, which isn't one. Move it, or choose another path."
        )


def _is_report(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = _listed(path) is not None or {"model", "rows"} <= content.keys()  # from an older version
        return known and path.is_file() and not path.is_symlink()
    except (OSError, ValueError, AttributeError):
        return False


def _foreign(path: Path, existing: list[str], files: Mapping[str, str]) -> list[str]:
    """Return the existing names that aren't listed, or whose contents differ."""
    return [
        name
        for name in existing
        if not (name == REPORT and _listed(path / name) == files)
        and ((path / name).is_symlink() or files.get(name) != _digest(path / name))
    ]


def _listed(report: Path) -> dict[str, str] | None:
    """Return the files that a report lists; None if it isn't a report, or fails its checksum."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        digest = content.pop("digest", None)
        intact = content.get("format") == KIND and digest == _content_digest(content)
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    files = content.get("files")
    return files if intact and isinstance(files, dict) else None


def _names(path: Path) -> list[str]:
    """Return the relative names of everything but directories. (Losing an empty one does no harm.)"""
    names = []
    for root, directories, files in os.walk(path):
        links = [name for name in directories if (Path(root) / name).is_symlink()]
        names += [(Path(root) / name).relative_to(path).as_posix() for name in (*files, *links)]
    return sorted(names)


def _digest(path: Path) -> str:
    if not path.is_file():  # a pipe, a broken link
        return ""
    return file_digest(path)


def _content_digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
