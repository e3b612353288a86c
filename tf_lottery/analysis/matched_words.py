"""Comparisons at equal cost, in words and as tables."""

from collections.abc import Sequence

from tf_lottery.analysis.amounts import Column, laid_out, number, percent
from tf_lottery.analysis.claim import UNDECIDED
from tf_lottery.analysis.matched import DENSE_NETWORK, FLOPS, STEPS, Matched, Offer
from tf_lottery.analysis.statistics import Interval
from tf_lottery.config import StudyConfig
from tf_lottery.method.arms import function_name

TELLING = ("dense_longer", "rigl", "small_dense")
"""The arms that tell what a ticket's cost would have bought otherwise."""
FROM_THE_START = ("at_init", "smart_ratio", "gradual", "static", "set", "rigl", "supermask", "small_dense")
"""The kinds of arms that are sparse, or small, without anything having been trained before."""


def matched_lines(found: Sequence[Matched], study: StudyConfig) -> list[str]:
    """Return what else each ticket's cost would have bought: sentences first, then a table for each.

    Args:
        found: The comparisons.
        study: The study, whose arms are those that could tell.
    """
    if not found:
        return ["No ticket is trained yet whose cost could be compared."]
    lines = [line for each in found for line in _words(each)]
    lines += _untested(study)
    for each in found:
        lines += ["", f"At the cost of round {each.round} of {each.arm}:", *_table(each), *_left_out(each)]
    return lines


def _words(found: Matched) -> list[str]:
    name = f"The ticket of round {found.round} ({percent(found.density)} of the weights)"
    reached = f"reached {found.test_accuracy:.2f}% test accuracy"
    if found.times_steps is None:
        return [f"{name} {reached}; what it cost isn't known: records that it takes are missing."]
    cost = f"cost {found.times_steps:.1f} dense trainings in steps"
    if found.times_flops is not None:
        cost += f", {found.times_flops:.1f} in FLOPs of the weights that remain"
    lines = [f"{name} {reached} and {cost}."]
    parts = [*_dense(found), *_sparse(found)]
    sentence = "; ".join(parts)
    return [*lines, f"{sentence[0].upper()}{sentence[1:]}."] if parts else lines


def _dense(found: Matched) -> list[str]:
    """Return what the dense network reaches if it is trained for as long."""
    longer = [offer for offer in found.offers if offer.function == "dense_longer"]
    parts = []
    for measure, words in ((STEPS, "steps"), (FLOPS, "FLOPs")):
        offer = next((offer for offer in longer if measure in offer.within), None)
        if offer is not None and (measure == STEPS or offer.within == (FLOPS,)):
            begun = (
                f"within as many {words}" if parts else f"Within as many {words} the dense network reached"
            )
            parts.append(f"{begun} {_told(offer)}")
    return parts


def _sparse(found: Matched) -> list[str]:
    """Return what the best arm by validation reaches that is sparse, or small, from the start."""
    offers = [o for o in found.offers if o.function in FROM_THE_START and STEPS in o.within]
    if not offers:
        return []
    best = max(offers, key=lambda offer: offer.validation)
    if len(offers) == 1:
        return [f"{_share(found, best)} {best.arm} reached {_told(best)}"]
    return [
        f"of {len(offers)} arms that are sparse or small from the start the best by validation, {best.arm}, "
        f"reached {_told(best)} {_share(found, best)}"
    ]


def _told(offer: Offer) -> str:
    undecided = f"{UNDECIDED}: " if offer.answer == UNDECIDED else ""
    return f"{offer.test_accuracy:.2f}% ({undecided}{_effect(offer.effect, 'points, ')})"


def _share(found: Matched, offer: Offer) -> str:
    """Return by which part of the ticket's steps an arm came to what it offers."""
    times = found.cost.steps / offer.cost.steps if offer.cost.steps else 0
    return f"at 1/{times:.0f} of the steps" if times >= 1.5 else "within as many steps"


def _effect(effect: Interval, unit: str = "") -> str:
    if effect.low == float("-inf"):
        return f"{effect.mean:+.2f} {unit}no interval" if unit else f"{effect.mean:+.2f} (no interval)"
    ends = f"{effect.low:.2f} to {effect.high:.2f}"
    return f"{effect.mean:+.2f} {unit}{ends}" if unit else f"{effect.mean:+.2f} ({ends})"


def _untested(study: StudyConfig) -> list[str]:
    """Return which arms would tell what none tells, as YAML."""
    there = {function_name(study, arm) for arm in study.arms}
    lacking = [arm for arm in TELLING if arm not in there]
    if not lacking:
        return []
    arms = ", ".join(f"{arm}: {{}}" for arm in lacking)
    named = " and ".join([", ".join(lacking[:-1]), lacking[-1]] if len(lacking) > 1 else lacking)
    return [f"Untested: what {named} would have reached for that. Add arms: {{ticket: {{}}, {arms}}}."]


def _table(found: Matched) -> list[str]:
    """Return the ticket, and below it what costs no more."""
    offers = found.offers
    names = {(STEPS,): "steps", (FLOPS,): "FLOPs"}
    both = [found, *offers]
    return laid_out(
        [
            Column(("", "arm"), [each.arm for each in both], is_text=True),
            Column(("at", "equal"), ["", *(names.get(o.within, "both") for o in offers)], is_text=True),
            Column(("", "round"), [str(each.round) for each in both]),
            Column(("", "weights"), [percent(each.density) for each in both]),
            Column(("test", "acc."), [number(each.test_accuracy, 2) for each in both]),
            Column(("times", "steps"), [number(each.times_steps, 2) for each in both]),
            Column(("dense", "FLOPs"), [number(each.times_flops, 2) for each in both]),
            Column(("above the ticket,", "points (95%)"), ["", *(_effect(o.effect) for o in offers)]),
            Column(("repli-", "cates"), [str(found.replicates), *(str(o.effect.count) for o in offers)]),
            Column(("", "that is"), ["", *(o.answer for o in offers)], is_text=True),
        ]
    )


def _left_out(found: Matched) -> list[str]:
    if not found.nothing:
        return []
    reasons: dict[str, list[str]] = {}
    for arm, why in found.nothing.items():
        name = DENSE_NETWORK if arm == found.arm else arm
        reasons.setdefault(why, []).append(name)
    told = "; ".join(f"{', '.join(arms)} ({why})" for why, arms in reasons.items())
    return [f"Not compared: {told}."]
