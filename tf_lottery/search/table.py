"""The table of a search, with one row for each run."""

from tf_lottery.search.record import FitRecord


def header(monitor: str) -> list[str]:
    """Return the two lines above the rows, with the name of the monitored quantity."""
    return [
        f"{'':<16}{'':>6}{'weights':>13}{'':>9}  {monitor:>{_width(monitor)}}{'best':>7}"
        f"{'at the':>11}{'':>9}",
        f"{'arm':<16}{'round':>6}{'remaining':>13}{'density':>9}  {'best':>{_width(monitor)}}{'epoch':>7}"
        f"{'end':>11}{'seconds':>9}",
    ]


def row(record: FitRecord, star: bool = False) -> str:
    """Return a run as one line; `star` marks it as the winning ticket."""
    spec = record.spec
    arm = "dense" if not spec.round else spec.arm + (f"#{spec.trial + 1}" if spec.trial else "")
    final = record.final.get(record.monitor)
    return (
        f"{arm:<16}{spec.round:>6}{record.weights_remaining:>13,}{record.density:>8.1%} "
        f"{'*' if star else ' '}{_number(record.value):>{_width(record.monitor) + 1}}{record.epoch:>7}"
        f"{'' if final is None else _number(final):>11}{record.seconds['total']:>9.1f}"
    ).rstrip()


def _width(monitor: str) -> int:
    return max(len(monitor), 10)


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3e}"
