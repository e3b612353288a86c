"""Amounts as the ledger writes them: steps, FLOPs and seconds in units that fit, and columns of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

FLOPS = (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6))
TIMES = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
UNKNOWN = "-"
"""What stands in a table for a figure that isn't known, which is never counted as 0."""

Units = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its two lines of heading.
        cells: What it shows.
        is_text: Whether it is set flush left, as words are.
    """

    heading: tuple[str, str]
    cells: Sequence[str]
    is_text: bool = False


def laid_out(columns: Sequence[Column]) -> list[str]:
    """Return the lines of a table, the two of its heading first."""
    texts = [[*column.heading, *column.cells] for column in columns]
    widths = [max(map(len, each)) for each in texts]
    return [
        "  ".join(
            cell.ljust(width) if column.is_text else cell.rjust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in zip(*texts, strict=True)
    ]


def scaled(values: Iterable[float | None], units: Units) -> tuple[Callable[[float | None], str], str]:
    """Return a function that writes a figure in the unit that fits the largest one, and the unit.

    Args:
        values: All figures that are written; None stands for what isn't known.
        units: Names of units with their sizes, the largest first.
    """
    most = max((value for value in values if value is not None), default=0.0)
    unit, size = _unit(most, units)
    decimals = 3 if most < 10 * size else 2 if most < 100 * size else 1

    def write(value: float | None) -> str:
        return UNKNOWN if value is None else f"{value / size:,.{decimals}f}"

    return write, unit


def in_words(value: float, units: Units) -> str:
    """Return a figure with its unit: `2.05 TFLOP`."""
    unit, size = _unit(value, units)
    return f"{value / size:,.3g} {unit}" if value < 1000 * size else f"{value / size:,.0f} {unit}"


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with so many decimals."""
    return UNKNOWN if value is None else f"{value:,.{decimals}f}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """Return a fraction in percent, with its sign."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{decimals}f}%"


def _unit(value: float, units: Units) -> tuple[str, float]:
    return next(((name, size) for name, size in units if value >= size), units[-1])
