"""What a candidate came to: the tickets that it found, what they cost, and how good that is."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from tf_lottery.config_tune import TuneConfig
from tf_lottery.method.ledger import ledger, lines
from tf_lottery.method.matching import ROUNDING, by_round
from tf_lottery.method.plan import collect
from tf_lottery.method.spec import Record
from tf_lottery.tuning.candidate import CHAIN, Candidate


@dataclass(frozen=True)
class Point:
    """A candidate's ticket of one round: means over its replicates.

    Attributes:
        round: The round; 0 is the dense network.
        density: The fraction of prunable weights that remain.
        accuracy: The validation accuracy at early stop, a fraction; around `fit` what is monitored, with its
            sign turned if less is better.
        test_accuracy: The test accuracy at early stop, a fraction. It chooses nothing; around `fit` there is
            none.
        cost: What finding and training the ticket cost, in the tuning's measure; None if that isn't known.
    """

    round: int
    density: float
    accuracy: float
    test_accuracy: float | None
    cost: float | None


@dataclass(frozen=True)
class Outcome:
    """What a candidate came to.

    Attributes:
        value: The objective: the density at which tickets cease to match, or the accuracy at a density.
        ticket: The sparsest matching ticket, or the one at the density asked for; None if there is none.
        dense: The dense network, trained in full.
        matching: All matching tickets, from the densest on; for the objective `accuracy_at` the one ticket.
        cost: The cost that counts: that of the ticket, or of the first pruned one if none matches.
        ended_early: Whether the candidate was given up, since others are better whatever it comes to.
        failing: The densest ticket that was trained and doesn't match; None if there is none.
    """

    value: float
    ticket: Point | None
    dense: Point
    matching: tuple[Point, ...]
    cost: float | None
    ended_early: bool = False
    failing: Point | None = None

    def score(self, tune: TuneConfig, ideal: float = 1.0) -> float:
        """Return what the oracle minimizes: the logarithm of the density or of the share of wrong answers,
        plus that of the cost times `cost_weight`.

        Args:
            tune: The section `tune`.
            ideal: The best accuracy that there could be; 0 of losses, whose sign is turned.
        """
        loss = self.value if tune.at_density is None else ideal - self.value
        score = math.log(max(loss, 1e-6))
        return score + tune.cost_weight * math.log(max(self.cost, 1e-9)) if tune.cost and self.cost else score


def points(candidate: Candidate, records: Iterable[Record], tune: TuneConfig) -> dict[int, Point]:
    """Return a candidate's tickets by round, the dense network first, where all replicates are finished."""
    return points_of(candidate, collect(candidate.study, records), candidate.arm, tune)


def points_of(candidate: Candidate, collected: list[Record], arm: str, tune: TuneConfig) -> dict[int, Point]:
    """Return the points of an arm, from the records that `collect` returns."""
    own = [record for record in collected if record.spec.arm == arm]
    if arm == CHAIN and not any(record.spec.round == 0 for record in own):  # arms share the dense runs
        own = [record for record in collected if record.spec.round == 0] + own
    values = [by_round(own, read) for read in (_density, _accuracy, _test_accuracy)]
    entries = [
        each for each in ledger(collected) if each.record.spec.arm == arm or not each.record.spec.round
    ]
    every = lines(entries)
    costs = {line.round: line.all for line in every if line.arm == arm or not line.round}
    costs |= {line.round: line.all for line in every if line.arm == arm}
    found = {}
    for round, densities in values[0].items():
        if len(densities) == candidate.study.replicates:
            spending = costs.get(round)
            cost = getattr(spending, FIGURES[tune.cost]) if tune.cost and spending else None
            found[round] = Point(round, *(mean(each[round]) for each in values), cost)
    return found


def _density(record: Record) -> float:
    return record.density


def _accuracy(record: Record) -> float:
    return record.monitored


def _test_accuracy(record: Record) -> float:
    return record.early_stop_test_accuracy


FIGURES = {"steps": "steps", "flops": "flops_remaining", "seconds": "seconds"}
"""The measure of cost -> the figure of the ledger."""


def needed(dense: Point, tune: TuneConfig, reference: float | None) -> float:
    """Return the accuracy that a ticket needs to match: the dense network's less the tolerance. The dense
    network of the study's own setting counts, too, so that no candidate wins by a poor dense network."""
    best = dense.accuracy if reference is None else max(dense.accuracy, reference)
    return best - (tune.tolerance or 0.0) - ROUNDING


def outcome(
    found: dict[int, Point],
    tune: TuneConfig,
    reference: float | None,
    ended_early: bool,
    assumed: float | None = None,
) -> Outcome | None:
    """Return what a candidate came to.

    Args:
        found: Its points by round, the dense network first.
        tune: The section `tune`.
        reference: The accuracy of the dense network of the study's own setting, None if this is that one.
        ended_early: Whether the candidate was given up.
        assumed: The density that counts where a candidate was given up before a ticket of it matched: that of
            the last round before the one that failed. Where it ceases to match wasn't looked for.

    Returns:
        The outcome; None if the dense network or all tickets are missing.
    """
    if 0 not in found or len(found) < 2:
        return None
    dense, *tickets = (found[round] for round in sorted(found))
    if tune.at_density is not None:
        return _at(tune.at_density, dense, tickets)
    least, matching = needed(dense, tune, reference), []
    for ticket in tickets:
        if ticket.accuracy < least:
            break
        matching.append(ticket)
    best = matching[-1] if matching else None
    failing = tickets[len(matching)] if len(matching) < len(tickets) else None
    above = best or dense
    value = above.density
    if failing is not None and above.accuracy > failing.accuracy:
        share = min(1.0, max(0.0, (above.accuracy - least) / (above.accuracy - failing.accuracy)))
        value = _between(above.density, failing.density, share)
    if ended_early and best is None and assumed is not None:
        value = assumed
    return Outcome(value, best, dense, tuple(matching), (best or tickets[0]).cost, ended_early, failing)


def _at(density: float, dense: Point, tickets: Sequence[Point]) -> Outcome | None:
    """Return the outcome at a density, between the two tickets beside it."""
    below = next((ticket for ticket in tickets if ticket.density <= density * (1 + 1e-9)), None)
    if below is None:
        return None
    above = [point for point in (dense, *tickets) if point.density > below.density][-1]
    share = math.log(density / above.density) / math.log(below.density / above.density)
    value = above.accuracy + min(1.0, share) * (below.accuracy - above.accuracy)
    return Outcome(value, below, dense, (below,), below.cost)


def _between(dense: float, sparse: float, share: float) -> float:
    """Return a density between two others, by a share of the distance of their logarithms."""
    return dense * (sparse / dense) ** share


class Front:
    """The Pareto front: what no other candidate's ticket is better than in loss and in cost.

    Args:
        tune: The section `tune`.
    """

    def __init__(self, tune: TuneConfig):
        self._tune = tune
        self.entries: list[tuple[float, float, Candidate, Point]] = []
        """Loss (density, or share of wrong answers), cost (0 if it doesn't count), candidate and ticket."""

    def add(self, candidate: Candidate, result: Outcome) -> None:
        """Add a candidate's tickets, and drop those that are no longer on the front."""
        for point in result.matching if candidate.share == 1.0 else ():
            at = self._tune.at_density
            loss = point.density if at is None else 1 - result.value
            self.entries.append((loss, self._cost(point.cost), candidate, point))
        entries = sorted(self.entries, key=lambda each: (each[0], each[1], each[2].number, each[3].round))
        self.entries, least = [], math.inf
        for entry in entries:
            if entry[1] < least:
                self.entries.append(entry)
                least = entry[1]

    def beats(self, density: float, cost: float | None) -> bool:
        """Return whether a ticket on the front is at least as sparse and costs no more."""
        paid = self._cost(cost)
        return any(loss <= density and spent <= paid for loss, spent, _, _ in self.entries)

    def _cost(self, cost: float | None) -> float:
        return cost if self._tune.cost and cost is not None else 0.0


def searched(candidate: Candidate, collected: list[Record], tune: TuneConfig) -> dict[int, Point]:
    """Return the points of the search itself, whose densities are those of the tickets."""
    return points_of(candidate, collected, CHAIN, tune)
