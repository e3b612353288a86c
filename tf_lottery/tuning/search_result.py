"""What a `LotteryTuner` found: a candidate is one `LotterySearch`, and its tickets are what is compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tf_lottery.analysis.notebook import Table, page
from tf_lottery.config_tune import TuneConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.ledger import ledger
from tf_lottery.search.result import SearchResult
from tf_lottery.tuning.outcome import FIGURES, Front, Outcome, Point, outcome
from tf_lottery.tuning.search_picture import draw_tuned

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

UNITS = {"steps": "training steps", "flops": "FLOPs", "seconds": "seconds"}
"""The measure of cost, in words."""


class SearchTune(TuneConfig):
    """The settings of a tuning, with the tolerance in units of what is monitored."""

    oracle: Literal["random", "grid", "bayesian"] = "bayesian"
    tolerance: float | None = Field(None, ge=0)
    candidates: int = Field(10, ge=1, le=10_000)


@dataclass(frozen=True)
class TriedSearch:
    """A candidate that was tried.

    Attributes:
        number: Its number; 0 has the default values.
        hyperparameters: What its functions asked for, with the values that they got.
        directory: The directory of its search.
        outcome: What it came to; None if it failed. Accuracies are those of the monitored quantity, with its
            sign turned if less is better.
        failure: Why it failed, empty if it didn't.
        score: What the oracle minimizes; None if it failed.
    """

    number: int
    hyperparameters: "HyperParameters"
    directory: Path
    outcome: Outcome | None = None
    failure: str = ""
    score: float | None = None
    share = 1.0  # of the full resource: a front takes no others

    @property
    def values(self) -> dict[str, Any]:
        """Name -> value."""
        return dict(self.hyperparameters.values)

    def describe(self) -> str:
        """Return the values in words: `units 120, rate 0.35`."""
        return ", ".join(f"{name} {shown(value)}" for name, value in self.values.items())


@dataclass
class TunedSearches:
    """What a tuning came to, as `LotteryTuner.search` returns it.

    Attributes:
        tune: The settings of the tuning.
        tried: The candidates, in the order in which they were proposed.
        front: The Pareto front of density (or what is monitored) and cost, of all candidates' tickets.
        monitor: The quantity that is compared, under the name that `fit` logs; None before the first search.
        mode: Whether more or less of it is better, `max` or `min`.
        ended: Why no more candidates were proposed.
    """

    tune: SearchTune
    tried: list[TriedSearch] = field(default_factory=list)
    front: Front = field(init=False)
    monitor: str | None = None
    mode: str = "max"
    ended: str = ""

    def __post_init__(self):
        self.front = Front(self.tune)

    @property
    def ranked(self) -> list[TriedSearch]:
        """The candidates that have a ticket, the one with the best score first."""
        found = [each for each in self.tried if each.outcome and each.outcome.ticket]
        return sorted(found, key=lambda each: (each.score, each.number))

    @property
    def best(self) -> TriedSearch | None:
        """The best candidate; None if none has a ticket."""
        return next(iter(self.ranked), None)

    @property
    def reference(self) -> float | None:
        """How good the first candidate's dense network is, which all are held to; None if it failed."""
        first = self.tried[0].outcome if self.tried else None
        return first.dense.accuracy if first else None

    def value_of(self, accuracy: float) -> float:
        """Return a value of the monitored quantity as `fit` logs it."""
        return accuracy if self.mode == "max" else -accuracy

    def came_to(self, tried: TriedSearch, result: SearchResult) -> TriedSearch:
        """Return a candidate with what its search came to.

        Args:
            tried: The candidate.
            result: Its search's result.

        Raises:
            LotteryError: If what is monitored can't be compared as the objective wants it.
        """
        record = result.records[0]
        if self.monitor is None:
            self.monitor, self.mode = record.monitor, record.mode
        if (record.monitor, record.mode) != (self.monitor, self.mode):
            return replace(
                tried, failure=f"it monitors {record.monitor}, and other candidates {self.monitor}"
            )
        found = points(result, self.tune)
        if self.tune.cost and any(each.cost is None for each in found.values()):
            return replace(tried, failure=f"what its tickets cost in {self.tune.cost} isn't known")
        came = outcome(found, self.tune, self.reference, ended_early=False)
        if came is None:
            return replace(tried, failure=_why_none(result, self.tune))
        ideal = 1.0 if self.mode == "max" else 0.0
        if self.tune.at_density is not None and came.value > ideal:
            raise LotteryError(
                f"Expected a monitored quantity of at most 1, or a loss from 0, with objective accuracy_at. "
                f"Received: {self.monitor} {self.value_of(came.value):.4g}. Name another monitor in search."
            )
        return replace(tried, outcome=came, score=came.score(self.tune, ideal))

    def add(self, tried: TriedSearch) -> None:
        """Add a candidate."""
        self.tried.append(tried)
        if tried.outcome is not None:
            self.front.add(tried, tried.outcome)  # type: ignore[arg-type]  # it has what a front reads

    def summary(self, most: int = 10) -> str:
        """Return the best candidates as a table, followed by the finding in words.

        Args:
            most: The most candidates that are shown. Those without a ticket come after the others.
        """
        cells, sentences = self._shown(most)
        return "\n".join([*(columns(cells) if len(cells) > 1 else []), *sentences])

    def _shown(self, most: int) -> tuple[list[list[str]], list[str]]:
        """Return a table's rows, the names first, and what is said below it."""
        ranked = self.ranked
        order = ranked + [each for each in self.tried if each not in ranked]
        names = list(dict.fromkeys(name for each in self.tried for name in each.values))
        cells = [self._header(names)]
        cells += [self._row(each, names) for each in order[:most] if each.outcome]
        said = [f"Candidate {each.number} failed: {each.failure}." for each in order[:most] if each.failure]
        if len(order) > most:
            said.append(f"... and {len(order) - most} more of {len(order)} candidates.")
        return cells, [*said, *self._answer()]

    def _repr_html_(self) -> str:
        """Return the table, the findings and the picture, as a notebook shows them."""
        (head, *rows), sentences = self._shown(most=10)
        return page(Table(head, rows), sentences, partial(draw_tuned, self) if self.ranked else None)

    def in_words(self, tried: TriedSearch) -> str:
        """Return what a candidate came to, in words."""
        result = tried.outcome
        if result is None:
            return f"failed: {tried.failure}"
        cost = f", for {result.cost:,.0f} {UNITS[self.tune.cost]}" if self.tune.cost else ""
        if result.ticket is None:
            dense = shown(self.value_of(result.dense.accuracy))
            return f"no pruned ticket matches (dense network: {self.monitor} {dense}){cost}"
        ticket = result.ticket
        value = f"{self.monitor} {shown(self.value_of(ticket.accuracy))}"
        if self.tune.at_density is not None:
            at, value = f"{self.tune.at_density:.4g}", shown(self.value_of(result.value))
            return f"{self.monitor} {value} at a density of {at}{cost}"
        return (
            f"tickets match down to {result.value:.2%} of the weights (round {ticket.round}: "
            f"{ticket.density:.2%}, {value}){cost}"
        )

    def _answer(self) -> list[str]:
        best = self.best
        if best is None:
            advice = "Allow for more tolerance, or train longer."
            return [f"No candidate has a ticket. {advice}" if self.tried else "No candidate was tried."]
        lines = [f"* Best candidate, {best.describe()}: {self.in_words(best)}."]
        first = self.tried[0]
        if first is not best:
            lines.append(f"The first one, {first.describe()}: {self.in_words(first)}.")
        return lines

    def _header(self, names: Sequence[str]) -> list[str]:
        at = self.tune.at_density
        value = "matches to" if at is None else f"at {at:.4g}"
        cost = [self.tune.cost] if self.tune.cost else []
        return ["", "#", *names, value, "round", "density", str(self.monitor), "dense", *cost, "score"]

    def _row(self, tried: TriedSearch, names: Sequence[str]) -> list[str]:
        result, values = tried.outcome, tried.values
        assert result is not None  # of one that failed there is no row
        ticket = result.ticket
        at_density = self.tune.at_density is not None
        return [
            "*" if tried is self.best else "",
            str(tried.number),
            *(shown(values[name]) if name in values else "" for name in names),
            shown(self.value_of(result.value)) if at_density else f"{result.value:.2%}" if ticket else "none",
            str(ticket.round) if ticket else "",
            f"{ticket.density:.2%}" if ticket else "",
            shown(self.value_of(ticket.accuracy)) if ticket else "",
            shown(self.value_of(result.dense.accuracy)),
            *([f"{result.cost:,.0f}"] if self.tune.cost else []),
            f"{tried.score:.3f}",
        ]


def points(result: SearchResult, tune: SearchTune) -> dict[int, Point]:
    """Return a search's tickets by round, the dense network first.

    Args:
        result: The search's result.
        tune: The settings of the tuning, which name the measure of cost.
    """
    entries = {entry.record.key: entry for entry in ledger(result.records)}

    def cost(key: str) -> float | None:
        return getattr(entries[key].all, FIGURES[tune.cost]) if tune.cost else None

    return {
        each.spec.round: Point(each.spec.round, each.density, each.monitored, None, cost(each.key))
        for each in result.rounds
    }


def shown(value: Any) -> str:
    """Return a value as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of a table as lines, their cells aligned at the right."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _why_none(result: SearchResult, tune: SearchTune) -> str:
    reason = f": {result.ended}" if result.ended else ""
    if tune.at_density is None or len(result.rounds) < 2:
        return f"no pruned round was trained{reason}"
    return f"its search ended at a density of {result.densities[-1]:.4g}, above {tune.at_density:g}{reason}"
