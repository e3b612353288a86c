"""Comparisons at equal cost: for what a ticket cost, search included, what else could one have had?

For each of the ticket's rounds that are looked at, every other arm offers its best round by validation that
costs no more and, if it is sparse, has no more weights. So test accuracies, which are compared, choose
neither the ticket's rounds nor those of other arms.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from tf_lottery.analysis.claim import UNDECIDED
from tf_lottery.analysis.findings import DENSE, FASTEST, Findings, test_accuracy, validation_accuracy
from tf_lottery.analysis.reached import Reached, reached
from tf_lottery.analysis.statistics import ROUNDING, Interval
from tf_lottery.method.arms import function_name
from tf_lottery.method.ledger import Spending
from tf_lottery.method.matching import setting

SPARSE = 0.036
"""A density at which tickets are compared besides 21%: where the article's smallest ones still match."""
DENSE_NETWORK = "dense network"
"""The name of the offer that is the dense network's one training."""
STEPS, FLOPS = "steps", "flops"
MEASURES = {STEPS: "steps", FLOPS: "flops_remaining"}
"""The measures of cost, each with the figure of the ledger."""
HIGHER, LOWER, EQUAL = "higher", "lower", "equal"

_SAME = 1 + 1e-9
_AS_MANY = 1.02
"""Masks of one round differ by some weights, since layers have whole numbers of them."""


@dataclass(frozen=True)
class Offer:
    """What an arm offers at no more than a ticket's cost.

    Attributes:
        arm: The arm, or `DENSE_NETWORK`.
        function: The line of `CHAINS` or `ARMS` that it is; None for the dense network.
        round: The arm's round, the best by validation.
        within: The measures of cost by which this is the arm's offer: `steps`, `flops`, or both.
        weights: The number of prunable weights that remain.
        density: These as a fraction of those of the ticket's dense network.
        test_accuracy: The test accuracy at early stop, in percent, of the replicates that are compared.
        cost: All that it cost, search included.
        times_steps: All steps as a multiple of those of the dense network's one training.
        times_flops: The same for FLOPs of the weights that remain.
        validation: By how many points its validation accuracy is above the ticket's, on the mean.
        effect: By how many points its test accuracy is above the ticket's, paired by replicate.
        answer: Whether that is `higher`, `lower` or `equal`, or `undecided` if its interval doesn't tell.
    """

    arm: str
    function: str | None
    round: int
    within: tuple[str, ...]
    weights: float
    density: float
    test_accuracy: float
    cost: Spending
    times_steps: float | None
    times_flops: float | None
    validation: float
    effect: Interval
    answer: str


@dataclass(frozen=True)
class Matched:
    """A ticket, and what else its cost would have bought.

    Attributes:
        arm: The ticket's arm.
        round: Its round.
        replicates: The number of replicates.
        weights: The number of prunable weights that remain.
        density: The fraction of them.
        test_accuracy: The test accuracy at early stop, in percent.
        cost: All that the ticket cost, its search included.
        times_steps: All steps as a multiple of those of the dense network's one training.
        times_flops: The same for FLOPs of the weights that remain.
        offers: What other arms offer, the dense network first.
        nothing: Arms that offer nothing there, each with the reason.
    """

    arm: str
    round: int
    replicates: int
    weights: float
    density: float
    test_accuracy: float
    cost: Spending
    times_steps: float | None
    times_flops: float | None
    offers: tuple[Offer, ...]
    nothing: dict[str, str]


def rounds_to_match(findings: Findings) -> list[int]:
    """Return the ticket's rounds that are compared: the sparsest matching one, and those nearest to 21% and
    to 3.6% of the weights.

    Args:
        findings: The study's finished runs.
    """
    main = findings.main
    rounds = findings.shared(main) if findings.rounds(main) else []
    chosen = [findings.matching_round(), *(findings.nearest(each, rounds) for each in (FASTEST, SPARSE))]
    return sorted({at for at in chosen if at is not None})


def at_equal_cost(findings: Findings) -> list[Matched]:
    """Return what else the cost of each of the ticket's rounds that are compared would have bought.

    Args:
        findings: The study's finished runs.
    """
    places = {(each.line.arm, each.line.round): each for each in reached(findings.records)}
    return [_matched(findings, places, at) for at in rounds_to_match(findings)]


def rows(found: Iterable[Matched]) -> list[dict[str, Any]]:
    """Return the comparisons as `tf-lottery ledger --json` prints them.

    Args:
        found: The comparisons.
    """
    return [asdict(each) for each in found]


def _matched(findings: Findings, places: dict[tuple[str, int], Reached], at: int) -> Matched:
    main = findings.main
    own = places[main, at]
    offers, nothing = [], {}
    for arm in [main, *(arm for arm in findings.study.arms if arm != main)]:
        found, why = _offers(findings, places, at, arm)
        offers += found
        if why:
            nothing[arm] = why
    return Matched(
        main,
        at,
        own.line.replicates,
        own.weights,
        findings.density(at),
        mean(findings.values(main, test_accuracy)[at].values()),
        own.line.all,
        own.times_steps,
        own.times_flops,
        tuple(offers),
        nothing,
    )


def _offers(
    findings: Findings, places: dict[tuple[str, int], Reached], at: int, arm: str
) -> tuple[list[Offer], str]:
    """Return an arm's offers, and why there are none. The ticket's own arm offers the dense network."""
    main = findings.main
    rounds = [DENSE] if arm == main else findings.rounds(arm)
    if not rounds:
        return [], "not trained yet"
    if arm != main and not _on_the_same(findings, arm):
        return [], "on other data, or another network"
    rounds = [
        each for each in rounds if (arm, each) in places and not findings.same_runs(main, arm, at, each)
    ]
    ticket = places[main, at]
    if ticket.line.all.steps is None:
        return [], "the ticket's own cost isn't known"
    fitting = [round for round in rounds if _is_no_larger(findings, ticket, places[arm, round])]
    if not fitting:
        return [], "none has as few weights" if rounds else "the same runs as the ticket's"
    chosen: dict[int, list[str]] = {}
    known, cheap = [], []
    for measure, figure in MEASURES.items():
        most = getattr(ticket.line.all, figure)
        costs = {round: getattr(places[arm, round].line.all, figure) for round in fitting}
        costs = {round: cost for round, cost in costs.items() if cost is not None and most is not None}
        within = [round for round, cost in costs.items() if cost <= most * _SAME]
        known, cheap = [*known, *costs], [*cheap, *within]
        best = _best(findings, places, arm, within, at)
        if best is not None:
            chosen.setdefault(best, []).append(measure)
    offers = [_offer(findings, places, at, arm, each, tuple(measures)) for each, measures in chosen.items()]
    if offers or cheap:
        return offers, "" if offers else "no replicate in common"
    return [], "none costs as little" if known else "what it cost isn't known"


def _best(
    findings: Findings, places: dict[tuple[str, int], Reached], arm: str, rounds: Iterable[int], at: int
) -> int | None:
    """Return the round that is best by validation, the cheapest of equal ones. Replicates are compared with
    those of the ticket; rounds of one only count if there are none of more."""
    paired = {round: findings.paired(arm, findings.main, validation_accuracy, round, at) for round in rounds}
    paired = {round: each for round, each in paired.items() if each}
    several = {round: each for round, each in paired.items() if len(each) > 1}
    means = {round: mean(each) for round, each in (several or paired).items()}
    if not means:
        return None
    highest = max(means.values())

    def cost(round: int) -> tuple[float, ...]:
        spending = places[arm, round].line.all
        costs = (getattr(spending, figure) for figure in MEASURES.values())
        return *(math.inf if cost is None else cost for cost in costs), round

    return min((round for round in means if means[round] >= highest - ROUNDING), key=cost)


def _offer(
    findings: Findings,
    places: dict[tuple[str, int], Reached],
    at: int,
    arm: str,
    round: int,
    within: tuple[str, ...],
) -> Offer:
    main, place = findings.main, places[arm, round]
    effect = findings.effect(arm, main, test_accuracy, round, at)
    ticket = findings.values(main, test_accuracy)[at]
    own = findings.values(arm, test_accuracy)[round]
    is_dense = arm == main
    return Offer(
        DENSE_NETWORK if is_dense else arm,
        None if is_dense else function_name(findings.study, arm),
        round,
        within,
        place.weights,
        place.weights / _all_weights(findings),
        mean(own[each] for each in own.keys() & ticket.keys()),
        place.line.all,
        place.times_steps,
        place.times_flops,
        mean(findings.paired(arm, main, validation_accuracy, round, at)),
        effect,
        _answer(effect),
    )


def _answer(effect: Interval) -> str:
    above, below = effect.above(0.0), effect.below(0.0)
    if above or below:
        return HIGHER if above else LOWER
    return EQUAL if above is False and below is False else UNDECIDED


def _is_no_larger(findings: Findings, ticket: Reached, other: Reached) -> bool:
    """Return whether an arm's round is dense, or has no more weights than a ticket. Narrower networks have as
    nearly as possible as many as the ticket of their round."""
    if other.weights >= _all_weights(findings) or other.weights <= _AS_MANY * ticket.weights:
        return True
    is_small = function_name(findings.study, other.line.arm) == "small_dense"
    return is_small and other.line.round == ticket.line.round


def _all_weights(findings: Findings) -> int:
    return next(r.weights_total for r in findings.records if r.spec.arm == findings.main)


def _on_the_same(findings: Findings, arm: str) -> bool:
    """Return whether an arm has the ticket's data and network; its training may be another."""
    specs = {record.spec.arm: record.spec for record in findings.records if record.spec.round > 0}
    return setting(specs[arm])[:2] == setting(specs[findings.main])[:2]
