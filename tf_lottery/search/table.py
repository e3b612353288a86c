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


def row(record: FitRecord, star: bool = False, longest: int = 0) -> str:
    """Return a run as one line.

    Args:
        record: The run's record.
        star: Whether to mark it as the winning ticket.
        longest: The number of characters of the longest name of a run.
    """
    spec = record.spec
    arm = "dense" if not spec.round else spec.arm + (f"#{spec.trial + 1}" if spec.trial else "")
    final = record.final.get(record.monitor)
    return (
        f"{arm:<{max(WIDTH, longest)}}{spec.round:>6}{record.weights_remaining:>13,}{record.density:>8.1%} "
        f"{'*' if star else ' '}{_number(record.value):>{_width(record.monitor) + 1}}{record.epoch:>7}"
        f"{'' if final is None else _number(final):>11}{record.seconds['total']:>9.1f}"
    ).rstrip()


def _width(monitor: str) -> int:
    return max(len(monitor), 10)


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3e}"
