"""JSON on standard output."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tf_lottery.cli.app import finite


def print_rows(parts: Mapping[str, Sequence[Any]], **others: Any) -> None:
    """Print a JSON object.

    Args:
        parts: Name -> rows, each a dataclass, which become objects.
        others: Further members of the object.

    Raises:
        ValueError: If a number isn't finite, which JSON lacks: rows have None in its place.
    """
    rows = {name: [asdict(row) for row in each] for name, each in parts.items()}
    print(json.dumps(others | rows, indent=2, allow_nan=False))


def print_json(value: Any) -> None:
    """Print a JSON value; numbers that aren't finite, which JSON lacks, become null.

    Args:
        value: Lists, tuples and dicts, however nested, of what JSON knows.
    """
    print(json.dumps(finite(value), indent=2, allow_nan=False))
