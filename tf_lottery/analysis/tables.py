"""Rows of dataclasses as a table of text."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

SHARES = (
    *("density", "overlap", "chance", "distance", "agreement"),
    *("accuracy", "confidence", "calibration_error", "differ", "only_first", "only_second"),
    *("positive", "sign_changed", "smaller_half", "unread", "constant"),
)
"""Fields that are shown in percent; so are those whose names end with one of these."""

MANY = 1_000
"""Numbers of this size are shown whole."""


def table(rows: Sequence[Any], without: Collection[str] = ()) -> list[str]:
    """Return a table: a heading of the fields' names, and a line for each row.

    Args:
        rows: Instances of one dataclass, at least one.
        without: The names of fields that aren't shown.
    """
    names = [field.name for field in fields(rows[0]) if field.name not in without]
    cells = [[_cell(name, getattr(row, name)) for name in names] for row in rows]
    heading = [name.replace("_", " ") for name in names]
    widths = [max(map(len, column)) for column in zip(heading, *cells, strict=True)]
    texts = [isinstance(getattr(rows[0], name), str) for name in names]
    return [
        "  ".join(
            cell.ljust(width) if is_text else cell.rjust(width)
            for cell, width, is_text in zip(line, widths, texts, strict=True)
        ).rstrip()
        for line in (heading, *cells)
    ]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if name.endswith(SHARES):
            return f"{value:.1%}"
        return f"{value:,.0f}" if abs(value) >= MANY else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
