"""The table of finished runs, with a row for each, in columns that fit 80 characters.

Only arms with long names make it wider.
"""

from collections.abc import Mapping

from tf_lottery.config import ArmConfig
from tf_lottery.method.spec import Record

_COLUMNS = (
    ("", "arm", 15),
    ("repli-", "cate", 6),
    ("", "round", 6),
    ("weights", "remaining", 11),
    ("den-", "sity", 7),
    ("early", "stop", 7),
    ("valid.", "acc.", 7),
    ("test", "acc.", 7),
    ("final", "test", 7),
    ("steps", "per s", 6),
)


WIDTH = _COLUMNS[0][2]
"""The width of the first column, unless an arm's name is longer."""


def width_for(arms: Mapping[str, ArmConfig]) -> int:
    """Return the width of the first column that the names of a study's arms need."""
    names = [name + (f"#{arm.trials}" if arm.trials > 1 else "") for name, arm in arms.items()]
    return max([WIDTH, *map(len, names)])


def header(width: int = WIDTH) -> list[str]:
    """Return the two lines above the rows."""
    return [_line([column[part] for column in _COLUMNS], width) for part in (0, 1)]


def names() -> list[str]:
    """Return the columns' names in one line each: `weights remaining`."""
    return [f"{above} {below}".strip().replace("- ", "") for above, below, _ in _COLUMNS]


def row(record: Record, width: int = WIDTH) -> str:
    """Return a finished run as one line. Accuracies are percentages.

    Args:
        record: The run's record.
        width: The width of the first column, in characters.
    """
    return _line(cells(record), width)


def cells(record: Record) -> list[str]:
    """Return what a finished run's row has in each column.

    Args:
        record: The run's record.
    """
    spec = record.spec
    return [
        spec.arm + (f"#{spec.trial + 1}" if spec.trial else ""),
        str(spec.replicate),
        str(spec.round),
        f"{record.weights_remaining:,}",
        f"{100 * record.density:.1f}%",
        f"{record.early_stop_iteration:,}",
        f"{100 * record.early_stop_validation_accuracy:.2f}",
        f"{100 * record.early_stop_test_accuracy:.2f}",
        f"{100 * record.final_test_accuracy:.2f}",
        f"{record.steps_per_second:.0f}",
    ]


def _line(cells: list[str], width: int) -> str:
    (first, *rest), others = cells, _COLUMNS[1:]
    return first.ljust(width) + "".join(
        cell.rjust(column[2]) for cell, column in zip(rest, others, strict=True)
    )
