"""What a tuning came to: what was tried, and which candidate is recommended."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tf_lottery.config_tune import TuneConfig, Tuning
from tf_lottery.method.ledger import Spending
from tf_lottery.tuning.candidate import Candidate
from tf_lottery.tuning.outcome import Front, Outcome
from tf_lottery.tuning.paths import TuningPaths


@dataclass(frozen=True)
class Tried:
    """A candidate that was tried.

    Attributes:
        candidate: The candidate.
        outcome: What it came to; None if it failed.
        failure: Why it failed, empty if it didn't.
        steps: The training steps of all its runs, those that it shares with others included.
    """

    candidate: Candidate
    outcome: Outcome | None
    failure: str
    steps: int


@dataclass
class Tuned:
    """What a tuning came to.

    Attributes:
        tuning: The tuning, with its data's digest.
        paths: Its files.
        tried: The candidates, in the order in which they were proposed. The first is the study's own setting.
        front: The front of all candidates that had the full resource.
        best: The recommended candidate; None if no candidate has a ticket.
        confirmed: Number of a finalist -> for each fresh seed what the study's own setting came to, and what
            the finalist did.
        spent: What all runs together cost, those of the confirmation included.
        ended: Why no more candidates were proposed.
    """

    tuning: Tuning
    paths: TuningPaths
    tried: list[Tried]
    front: Front
    best: Tried | None = None
    confirmed: dict[int, list[tuple[Tried, Tried]]] = field(default_factory=dict)
    spent: Spending | None = None
    ended: str = ""

    @property
    def saved(self) -> float:
        """The share of the candidates' training steps that were trained once for several of them."""
        alone = sum(each.steps for each in self.tried)
        return 1 - self.distinct / alone if alone else 0.0

    distinct: int = 0
    """The training steps of the candidates' runs, each run counted once."""


def finalists(tried: Iterable[Tried], tune: TuneConfig) -> list[Tried]:
    """Return the candidates that may be the best, which are then tried on fresh seeds.

    These are cheaper than the study's own setting and as good, within the margin, and no cheaper one is
    better: at most `tune.finalists` of them, from the cheapest to the dearest. Where cost doesn't count, or
    the study's own setting has no ticket, it is the one with the best objective. It may be none.
    """
    full = [each for each in tried if each.outcome and each.outcome.ticket and each.candidate.share == 1.0]
    own = next((each for each in full if not each.candidate.values), None)
    if own is None or not tune.cost or own.outcome.cost is None:
        best = min(full, key=lambda each: (loss(each.outcome, tune), each.outcome.cost or 0.0), default=None)
        return [best] if best is not None and best is not own else []
    cheaper = [each for each in full if each.outcome.cost and each.outcome.cost < own.outcome.cost]
    as_good = [each for each in cheaper if is_as_good(each.outcome, own.outcome, tune)]
    front: list[Tried] = []
    for each in sorted(as_good, key=lambda each: (each.outcome.cost, loss(each.outcome, tune))):
        if not front or loss(each.outcome, tune) < loss(front[-1].outcome, tune):
            front.append(each)
    last = len(front) - 1
    places = {round(place * last / max(1, tune.finalists - 1)) for place in range(tune.finalists)}
    return [each for place, each in enumerate(front) if place in places]


def recommended(tuned: Tuned) -> Tried | None:
    """Return the best candidate; None if no candidate has a ticket.

    It is the cheapest finalist that is as good on most of the fresh seeds, or else the one that is on
    the most of them; where there is no finalist, the study's own setting.
    """
    tune, among = tuned.tuning.tune, finalists(tuned.tried, tuned.tuning.tune)
    if not among:
        own = tuned.tried[0] if tuned.tried else None
        return own if own is not None and own.outcome and own.outcome.ticket else None
    for each in among:
        if held(tuned, each) * 2 > tune.confirm or not tune.confirm:
            return each
    return max(among, key=lambda each: held(tuned, each))


def held(tuned: Tuned, candidate: Tried) -> int:
    """Return on how many fresh seeds a finalist is as good as the study's own setting."""
    pairs = tuned.confirmed.get(candidate.candidate.number, [])
    both = [(own.outcome, other.outcome) for own, other in pairs if own.outcome and other.outcome]
    return sum(is_as_good(other, own, tuned.tuning.tune) for own, other in both)


def loss(result: Outcome, tune: TuneConfig) -> float:
    """Return how good what was found is, where less is better: the density of the sparsest matching ticket (1
    if there is none), or the share of wrong answers.

    An oracle is told the density at which tickets cease to match, which lies between two rounds. What is
    recommended, and compared by its cost, is a ticket that was trained.
    """
    if tune.at_density is not None:
        return 1 - result.value
    return result.ticket.density if result.ticket else 1.0


def is_as_good(result: Outcome, own: Outcome, tune: TuneConfig) -> bool:
    """Return whether a candidate is as good as the study's own setting, within the margin.

    Args:
        result: What the candidate came to.
        own: What the study's own setting came to.
        tune: The section `tune`.
    """
    if tune.at_density is None:
        return result.ticket is not None and loss(result, tune) <= loss(own, tune) * (1 + tune.margin)
    return result.value >= own.value - (tune.tolerance or 0.0)
