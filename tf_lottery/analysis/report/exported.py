"""Exports of a study that exist already: what their own reports say of bytes and latency."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_lottery.analysis.report.blocks import Table
from tf_lottery.analysis.report.gather import Material
from tf_lottery.store.upkeep import readable

KIND = "tf_lottery.export"
_DAMAGE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
MOST = 64
"""The most reports that are looked at."""


@dataclass(frozen=True)
class Export:
    """An export that was verified.

    Attributes:
        round: The round that it is of.
        replicate: Its replicate.
        name: The format and its weights.
        bytes: Its size.
        dense_bytes: The dense original's size in a format of the same runtime; None if it isn't known.
        latency: Batch size -> median seconds a call.
        path: Where its report is, from the study's directory.
    """

    round: int
    replicate: int
    name: str
    bytes: int
    dense_bytes: int | None
    latency: Mapping[str, float]
    path: str


def exports_of(material: Material) -> list[Export]:
    """Return the verified exports of a study's runs, of which reports lie in its directory or beside it.

    Those that can't be read, or are of other runs, are left out.

    Args:
        material: The study.
    """
    places = {(r.spec.round, r.spec.replicate) for r in material.records if r.spec.arm == material.main}
    found = []
    for path in _reports(material.paths.root):
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != KIND:
                continue
            of = content["provenance"]
            place = int(of["round"]), int(of["replicate"])
            if of.get("study") != material.study.name or place not in places:
                continue
            shown = str(path.relative_to(material.paths.root.parent))
            found += [_export(row, *place, shown) for row in content["rows"] if row["status"] == "verified"]
        except _DAMAGE:
            continue
    return sorted(found, key=lambda each: (each.round, each.replicate, each.path, each.name))


def _reports(root: Path) -> Iterator[Path]:
    root = root.resolve()
    paths = [
        *root.glob("report.json"),
        *root.glob("*.report.json"),
        *root.glob("*/report.json"),
        *root.glob("*/*.report.json"),
        *root.parent.glob(f"{_literal(root.name)}_round*/report.json"),
        *root.parent.glob(f"{_literal(root.name)}_round*.report.json"),
    ]
    yield from sorted({path for path in paths if path.is_file()})[:MOST]


def _literal(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)


def _export(row: dict[str, Any], round: int, replicate: int, path: str) -> Export:
    dense = row.get("dense_bytes")
    latency = {str(batch): float(seconds) for batch, seconds in (row.get("latency") or {}).items()}
    return Export(
        round,
        replicate,
        str(row["name"]),
        int(row["bytes"]),
        None if dense is None else int(dense),
        latency,
        path,
    )


def table(found: list[Export]) -> Table:
    """Return a table of exports.

    Args:
        found: The exports, at least one.
    """
    batches = sorted({batch for each in found for batch in each.latency}, key=lambda each: (len(each), each))
    head = [
        "export",
        "round",
        "replicate",
        "size",
        "of dense",
        *(f"microseconds, batch {b}" for b in batches),
    ]
    rows = [
        [
            f"{each.name} ({each.path})",
            str(each.round),
            str(each.replicate),
            readable(each.bytes),
            f"{each.bytes / each.dense_bytes:.1%}" if each.dense_bytes else "-",
            *(f"{1e6 * each.latency[b]:,.0f}" if b in each.latency else "-" for b in batches),
        ]
        for each in found
    ]
    return Table("Exports, as they were verified", head, rows)
