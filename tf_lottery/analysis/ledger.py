"""The ledger of a study as a table and in words: what was spent, search and final training apart."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tf_lottery.method.ledger import Entry, Line, Spending, ledger, lines, spent_by
from tf_lottery.method.matching import main_arm
from tf_lottery.method.spec import Finished

_FLOPS = (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6))
_TIMES = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
_UNKNOWN = "-"


@dataclass(frozen=True)
class _Column:
    """A column of the table: its two lines of heading, and what it shows."""

    heading: tuple[str, str]
    cells: Sequence[str]

    def texts(self) -> list[str]:
        return [*self.heading, *self.cells]


def describe(records: Iterable[Finished]) -> list[str]:
    """Return the ledger of a study: a line for each arm and round, then the study's total in words.

    Numbers are means over replicates. `own` is a run's own training; `search` is that of all other runs which
    its masks and weights build on. FLOPs are those of the weights that remain.

    Args:
        records: The study's finished runs, as `collect` returns them.
    """
    records = list(records)
    entries = ledger(records)
    if not entries:
        return ["No run is finished yet."]
    return [*_table(lines(entries)), "", *_words(records, entries)]


def rows(records: Iterable[Finished]) -> dict[str, Any]:
    """Return the ledger as `tf-lottery ledger --json` prints it.

    Args:
        records: The study's finished runs, as `collect` returns them.

    Returns:
        `rounds`, a list with a flat object for each arm and round, in which `own_` and `search_` stand before
        what a run and its search cost; and `study`, what all runs cost together. None stands for what isn't
        known.
    """
    records = list(records)
    rounds = []
    for line in lines(ledger(records)):
        row = {name: value for name, value in vars(line).items() if not isinstance(value, Spending)}
        for part in ("own", "search"):
            row |= {f"{part}_{name}": value for name, value in asdict(getattr(line, part)).items()}
        rounds.append(row)
    return {"rounds": rounds, "study": asdict(spent_by(records))}


def _table(found: Sequence[Line]) -> list[str]:
    flops, unit = _scaled(found, lambda cost: cost.flops_remaining, _FLOPS)
    times, time_unit = _scaled(found, lambda cost: cost.seconds, _TIMES)
    columns = [
        _Column(("", "arm"), [line.arm for line in found]),
        _Column(("", "round"), [str(line.round) for line in found]),
        _Column(("den-", "sity"), [_percent(line.density) for line in found]),
        _Column(("effec-", "tive"), [_percent(line.effective_density) for line in found]),
        _Column(("own", "steps"), [_number(line.own.steps) for line in found]),
        _Column(("search", "steps"), [_number(line.search.steps) for line in found]),
        _Column(("own", unit), [flops(line.own) for line in found]),
        _Column(("search", unit), [flops(line.search) for line in found]),
        _Column(("own", time_unit), [times(line.own) for line in found]),
        _Column(("search", time_unit), [times(line.search) for line in found]),
    ]
    widths = [max(map(len, column.texts())) for column in columns]
    parts = zip(*(column.texts() for column in columns), strict=True)
    return ["  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) for first, *rest in parts]


def _words(records: Sequence[Finished], entries: Sequence[Entry]) -> list[str]:
    total = spent_by(records)
    sentence = f"All {total.runs:,} runs" if total.runs > 1 else "1 run"
    sentence += f": {_number(total.steps)} steps"
    if total.flops_dense is not None:
        sentence += (
            f", {_in_words(total.flops_remaining, _FLOPS)} of the weights that remain "
            f"({_in_words(total.flops_dense, _FLOPS)} with the pruned ones)"
        )
    if total.seconds is not None:
        sentence += f", {_in_words(total.seconds, _TIMES)} of training steps"
    main = main_arm(records)
    rounds = {line.round: line for line in lines(entries) if line.arm == main}
    dense, last = rounds.get(0), rounds[max(rounds)] if rounds else None
    if dense is None or not dense.own.steps:
        return [f"{sentence}."]
    sentence += f": {total.steps / dense.own.steps:.1f} times the dense network's steps."
    told = [sentence, *_spared(records)]
    return told if last is dense or last.search.steps is None else [*told, _search(last, dense.own)]


def _spared(records: Sequence[Finished]) -> list[str]:
    """Return what Early-Bird stops spared, in a sentence; none if no run could end early."""
    runs = {record.key: record for record in records if "early_bird_steps_saved" in record.checks}.values()
    spared = [record.checks["early_bird_steps_saved"] for record in runs]
    if not spared:
        return []
    ended, steps = sum(steps > 0 for steps in spared), sum(spared)
    planned = steps + sum(record.last_step - record.first_step for record in runs)
    return [
        f"{ended} of {len(spared)} runs of the search ended early, once their next pruning had settled: "
        f"{steps:,} of {planned:,} steps were spared."
    ]


def _search(last: Line, dense: Spending) -> str:
    before, together = (cost.steps / dense.steps for cost in (last.search, last.all))
    sentence = (
        f"The search for round {last.round} of {last.arm} took {before:.1f} times the dense network's steps, "
        f"{together:.1f} times with its own training"
    )
    if last.all.flops_remaining is not None and dense.flops_dense:
        times = [cost.flops_remaining / dense.flops_dense for cost in (last.search, last.all)]
        sentence += f" ({times[0]:.1f} and {times[1]:.1f} times the FLOPs, if pruned weights cost nothing)"
    return f"{sentence}."


def _scaled(
    found: Sequence[Line],
    read: Callable[[Spending], float | None],
    units: Sequence[tuple[str, float]],
) -> tuple[Callable[[Spending], str], str]:
    """Return a function that writes a figure in the unit that fits the largest one, and the unit."""
    most = max(read(cost) or 0.0 for line in found for cost in (line.own, line.search))
    unit, size = _unit(most, units)
    decimals = 3 if most < 10 * size else 2 if most < 100 * size else 1

    def write(cost: Spending) -> str:
        value = read(cost)
        return _UNKNOWN if value is None else f"{value / size:,.{decimals}f}"

    return write, unit


def _unit(value: float, units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    return next(((name, size) for name, size in units if value >= size), units[-1])


def _in_words(value: float, units: Sequence[tuple[str, float]]) -> str:
    unit, size = _unit(value, units)
    return f"{value / size:,.3g} {unit}" if value < 1000 * size else f"{value / size:,.0f} {unit}"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:,.0f}"


def _percent(fraction: float | None) -> str:
    return _UNKNOWN if fraction is None else f"{100 * fraction:.1f}%"
