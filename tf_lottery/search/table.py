"""The table of a search, with one row for each run."""

from tf_lottery.config import StudyConfig
from tf_lottery.search.record import FitRecord

WIDTH = 16
"""The least width of the column of names."""


def longest_name(study: StudyConfig) -> int:
    """Return the number of characters of the longest name of a run, such as `random_reinit#3`."""
    return max(
        len(arm) + (len(f"#{settings.trials}") if settings.trials > 1 else 0)
        for arm, settings in study.arms.items()
    )


def header(monitor: str, longest: int = 0) -> list[str]:
    """Return the two lines above the rows.

    Args:
        monitor: The name of the monitored quantity.
        longest: The number of characters of the longest name of a run.
    """
    width = max(WIDTH, longest)
    return [
        f"{'':<{width}}{'':>6}{'weights':>13}{'':>9}  {monitor:>{_width(monitor)}}{'best':>7}"
        f"{'at the':>11}{'':>9}",
        f"{'arm':<{width}}{'round':>6}{'remaining':>13}{'density':>9}  {'best':>{_width(monitor)}}"
        f"{'epoch':>7}{'end':>11}{'seconds':>9}",
    ]


def names(monitor: str) -> list[str]:
    """Return the columns' names in one line each.

    Args:
        monitor: The name of the monitored quantity.
    """
    return [
        *("arm", "round", "weights remaining", "density", f"best {monitor}", "best epoch", "at the end"),
        "seconds",
    ]


def row(record: FitRecord, star: bool = False, longest: int = 0) -> str:
    """Return a run as one line.

    Args:
        record: The run's record.
        star: Whether to mark it as the winning ticket.
        longest: The number of characters of the longest name of a run.
    """
    arm, round, remaining, density, value, epoch, final, seconds = cells(record)
    return (
        f"{arm:<{max(WIDTH, longest)}}{round:>6}{remaining:>13}{density:>8} "
        f"{'*' if star else ' '}{value:>{_width(record.monitor) + 1}}{epoch:>7}{final:>11}{seconds:>9}"
    ).rstrip()


def cells(record: FitRecord) -> list[str]:
    """Return what a run's row has in each column.

    Args:
        record: The run's record.
    """
    spec = record.spec
    final = record.final.get(record.monitor)
    return [
        "dense" if not spec.round else spec.arm + (f"#{spec.trial + 1}" if spec.trial else ""),
        str(spec.round),
        f"{record.weights_remaining:,}",
        f"{record.density:.1%}",
        _number(record.value),
        str(record.epoch),
        "" if final is None else _number(final),
        f"{record.seconds['total']:.1f}",
    ]


def _width(monitor: str) -> int:
    return max(len(monitor), 10)


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3e}"
