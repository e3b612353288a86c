"""A table of connectivity: means over replicates, for the terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from tf_lottery.analysis.connectivity import Connection
from tf_lottery.analysis.interpolation import UNSTABLE
from tf_lottery.analysis.summary import Spread

_COLUMNS = (
    ("", "arm", 20),
    ("", "round", 6),
    ("den-", "sity", 8),
    ("from", "step", 9),
    ("", "pairs", 6),
    ("barrier on", "validation", 21),
    ("barrier on", "test", 21),
)
_RECALIBRATED = "  recalibrated"


@dataclass(frozen=True)
class Line:
    """The connections of one arm and round: means over replicates, whose pairs are averaged first.

    Attributes:
        arm, on, round, start: As in `Connection`.
        density: The mean density.
        pairs: The number of pairs.
        stable: How many of them are stable.
        validation: The barrier on validation data, in points.
        test: The barrier on test data, in points.
        recalibrated: Whether statistics of batch normalization are recalibrated.
    """

    arm: str
    on: str
    round: int
    start: str
    density: float
    pairs: int
    stable: int
    validation: Spread
    test: Spread
    recalibrated: bool


def lines(connections: Iterable[Connection]) -> list[Line]:
    """Return means over replicates by arm, round and start, of what is measured as is and recalibrated."""
    places: dict[tuple[str, str, int, str], list[Connection]] = {}
    for each in connections:
        places.setdefault((each.arm, each.on, each.round, each.start), []).append(each)
    arms = list(dict.fromkeys(arm for arm, *_ in places))
    order = sorted(places, key=lambda place: (arms.index(place[0]), place[2]))
    every = [_line(place, places[place], recalibrated) for place in order for recalibrated in (False, True)]
    return [line for line in every if line is not None]


def describe(connections: Sequence[Connection]) -> list[str]:
    """Return the table and what it says, in lines of at most 100 characters unless names are long."""
    found = lines(connections)
    width = max([_COLUMNS[0][2], *(len(_name(line)) for line in found)])
    points = len(connections[0].errors["test"])
    table = [_row([column[part] for column in _COLUMNS], width) for part in (0, 1)]
    table += [f"{_row(_cells(line), width)}  {_answer(line)}" for line in found]
    table += [
        "",
        f"Barrier: the highest error on {points} points of the line between the last weights of two",
        "trainings from one start, less the mean error of its ends, in points: means over replicates",
        f"(minimum-maximum). Stable: below {UNSTABLE:g} points on test data (Frankle et al. 2020).",
    ]
    if any(line.recalibrated for line in found):
        table.append("Recalibrated: batch normalization with statistics of training batches at each point.")
    return table


def _cells(line: Line) -> list[str]:
    figures = [_spread(line.validation), _spread(line.test)]
    if line.recalibrated:
        return [_RECALIBRATED, "", "", "", "", *figures]
    return [_name(line), str(line.round), f"{100 * line.density:.1f}%", line.start, str(line.pairs), *figures]


def _name(line: Line) -> str:
    return f"{line.arm} of {line.on}"


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.2f} ({spread.low:.2f}-{spread.high:.2f})"


def _answer(line: Line) -> str:
    if line.stable in (0, line.pairs):
        return "stable" if line.stable else "unstable"
    return f"{line.stable} stable"


def _row(cells: Sequence[str], width: int) -> str:
    first, *rest = cells
    widths = [column[2] for column in _COLUMNS[1:]]
    return first.ljust(width) + "".join(each.rjust(size) for each, size in zip(rest, widths, strict=True))


def _line(
    place: tuple[str, str, int, str], connections: Sequence[Connection], recalibrated: bool
) -> Line | None:
    suffix = "_recalibrated" if recalibrated else ""
    connections = [each for each in connections if f"test{suffix}" in each.errors]
    if not connections:
        return None

    def spread(what: str) -> Spread:
        replicates: dict[int, list[float]] = {}
        for each in connections:
            replicates.setdefault(each.replicate, []).append(each.barrier(what + suffix))
        means = [mean(values) for values in replicates.values()]
        return Spread(mean(means), min(means), max(means))

    arm, on, round, start = place
    stable = sum(bool(each.stable_recalibrated if recalibrated else each.stable) for each in connections)
    density = mean(each.density for each in connections)
    validation, test = spread("validation"), spread("test")
    return Line(arm, on, round, start, density, len(connections), stable, validation, test, recalibrated)
