"""How to get the same figures again: the command, the config, and what the runs were trained with."""

import re
import shlex
from collections import Counter
from datetime import datetime

from tf_lottery import config_file
from tf_lottery.analysis.report.blocks import Code, Folded, Section, Table, Text
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import counted
from tf_lottery.store import environment

_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_MOST = 4
"""The most values of one kind that are listed."""


def reproduce(material: Material) -> Section:
    """Return the section that says how the study can be run again.

    Args:
        material: The study.
    """
    study = material.study
    rows = [
        ["study", study.name],
        *([["description", study.description]] if study.description else []),
        ["directory", str(material.paths.root)],
        ["seed", str(study.seed)],
        ["replicates", str(study.replicates)],
        ["data", f"{study.data.name}, sha256 {study.data.digest or 'unknown'}"],
        ["finished runs", f"{len({record.key for record in material.records}):,}"],
        *([["when", when]] if (when := _when(material)) else []),
        *_trained_with(material),
    ]
    blocks = [
        Code(
            "tf-lottery run study.yaml --output " + shlex.quote(f"saved_models/{study.name}_again"), "Command"
        ),
        Text(
            "study.yaml is the config below. The same versions on the same kind of processor give the same "
            "bits."
        ),
        Table("What the runs are, and were trained with", ["what", "value"], rows, frozenset({0, 1})),
    ]
    if lines := environment.described(material.records):
        blocks.append(Text(" ".join(lines), "note"))
    blocks.append(Folded("The config, as YAML", [Code(config_file.dump(study), "study.yaml")]))
    return Section("reproduce", "How to reproduce it", blocks)


def _trained_with(material: Material) -> list[list[str]]:
    records = list({record.key: record for record in material.records}.values())
    found: dict[str, Counter[str]] = {}
    for record in records:
        resolved = {name: record.resolved.get(name) for name in ("engine", "device", "threads")}
        for name, value in (record.environment | resolved).items():
            if value not in (None, ""):
                found.setdefault(name, Counter())[str(value)] += 1
    return [[name, _values(values, len(records))] for name, values in found.items()]


def _values(values: Counter[str], runs: int) -> str:
    if len(values) == 1 and sum(values.values()) == runs:
        return next(iter(values))
    shown = [f"{value} ({counted(count, 'run')})" for value, count in values.most_common(_MOST)]
    more = f" and {len(values) - _MOST} more" if len(values) > _MOST else ""
    return "; ".join(shown) + more


def _when(material: Material) -> str:
    """Return when the runs were finished, by the study's log, or else by the dates of their files."""
    stamps: list[str] = []
    try:
        lines = material.paths.log.read_text(encoding="utf-8", errors="replace").splitlines()
        stamps = [found.group() for line in lines if (found := _STAMP.match(line))]
    except OSError:
        pass
    if stamps:
        return f"{min(stamps)} to {max(stamps)} (study.log)"
    paths = [material.paths.run(record.key).record for record in material.records]
    dates = [path.stat().st_mtime for path in paths if path.exists()]
    if not dates:
        return ""
    first, last = (
        datetime.fromtimestamp(date).strftime("%Y-%m-%d %H:%M:%S") for date in (min(dates), max(dates))
    )
    return f"{first} to {last} (dates of the records' files)"
