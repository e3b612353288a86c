"""Whether two studies came out the same, to the last bit, timings aside."""

import json
from pathlib import Path

from tf_lottery import arrays

# Of a record: how long it took, where it was made; the digest over the file is over them, too.
ASIDE = ("steps_per_second", "seconds", "environment", "digest")


def contents(directory: Path) -> dict[str, object]:
    """Return file -> content of all runs of a study: records, curves, and a digest of each npz."""
    found = {}
    for path in sorted(directory.glob("runs/**/*")):
        name = str(path.relative_to(directory))
        if path.name == "record.json":
            record = json.loads(path.read_text())
            found[name] = {key: value for key, value in record.items() if key not in ASIDE}
        elif path.suffix == ".npz":
            found[name] = arrays.digest(arrays.load(path))
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def differences(first: Path, second: Path) -> list[str]:
    """Return the files in which two studies differ, or which only one has."""
    one, two = contents(first), contents(second)
    return sorted(name for name in one | two if one.get(name) != two.get(name))
