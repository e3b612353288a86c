"""Compares the results of two studies to the last bit, except for timings."""

import json
from pathlib import Path

from tf_lottery import arrays

# Fields of a record that depend on time and place; its digest includes them.
IGNORED = ("steps_per_second", "seconds", "spent", "environment", "digest")


def contents(directory: Path) -> dict[str, object]:
    """Return file -> content of all runs of a study: records, curves, and a digest of each npz."""
    contents_by_file = {}
    for path in sorted(directory.glob("runs/**/*")):
        name = str(path.relative_to(directory))
        if path.name == "record.json":
            record = json.loads(path.read_text())
            contents_by_file[name] = {key: value for key, value in record.items() if key not in IGNORED}
        elif path.suffix == ".npz":
            contents_by_file[name] = arrays.digest(arrays.load(path))
        elif path.is_file():
            contents_by_file[name] = path.read_bytes()
    return contents_by_file


def differences(first: Path, second: Path) -> list[str]:
    """Return the files that differ between two studies, or that only one has."""
    one, two = contents(first), contents(second)
    return sorted(name for name in one | two if one.get(name) != two.get(name))
