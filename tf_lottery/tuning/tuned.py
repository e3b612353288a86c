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
        confirmed: For each fresh seed what the study's own setting and the best one came to.
        spent: What all runs together cost, those of the confirmation included.
        ended: Why no more candidates were proposed.
    """

    tuning: Tuning
    paths: TuningPaths
    tried: list[Tried]
    front: Front
    best: Tried | None = None
    confirmed: list[tuple[Tried, Tried]] = field(default_factory=list)
    spent: Spending | None = None
    ended: str = ""

    @property
    def saved(self) -> float:
        """The share of the candidates' training steps that were trained once for several of them."""
        alone = sum(each.steps for each in self.tried)
        return 1 - self.distinct / alone if alone else 0.0

    distinct: int = 0
    """The training steps of the candidates' runs, each run counted once."""


def recommended(tried: Iterable[Tried], tuning: Tuning) -> Tried | None:
    """Return the best candidate.

    That is the cheapest one that is as good as the study's own setting, within the margin; the one with the
    best objective where cost doesn't count, or where the study's own setting has no ticket. Of equals the first.
    """
    tune = tuning.tune
    full = [each for each in tried if each.outcome and each.outcome.ticket and each.candidate.share == 1.0]
    if not full:
        return None

    def loss(each: Tried) -> float:
        return each.outcome.value if tune.at_density is None else -each.outcome.value

    own = full[0] if not full[0].candidate.values else None
    if own is None or not tune.cost or own.outcome.cost is None:
        return min(full, key=lambda each: (loss(each), each.outcome.cost or 0.0))
    with_cost = [each for each in full if each.outcome.cost is not None]
    as_good = [each for each in with_cost if is_as_good(each.outcome, own.outcome, tune)]
    return min(as_good, key=lambda each: (each.outcome.cost, loss(each)))


def is_as_good(result: Outcome, own: Outcome, tune: TuneConfig) -> bool:
    """Return whether a candidate is as good as the study's own setting, within the margin.

    Args:
        result: What the candidate came to.
        own: What the study's own setting came to.
        tune: The section `tune`.
    """
    if tune.at_density is None:
        return result.value <= own.value * (1 + tune.margin)
    return result.value >= own.value - (tune.tolerance or 0.0)
