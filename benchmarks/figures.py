"""How a study's finished runs give a figure that a paper prints. Each function here returns a reader of
`Findings`, which says ours in words, and None where the study lacks the runs."""

import math
from collections.abc import Callable
from statistics import mean

from tf_lottery.analysis.claims import CLAIMS
from tf_lottery.analysis.findings import DENSE, Findings, early_stop, test_accuracy
from tf_lottery.analysis.statistics import Interval, interval

Read = Callable[[Findings], str | None]


def accuracy(arm: str, round: int) -> Read:
    """Return a reader of an arm's test accuracy at early stop, in percent."""

    def read(findings: Findings) -> str | None:
        values = findings.values(arm, test_accuracy).get(round)
        return _told(interval(list(values.values()))) if values else None

    return read


def gain(arm: str, round: int, over: str) -> Read:
    """Return a reader of an arm's test accuracy less another's at the same round, in points."""
    return _effect(arm, over, round, round)


def above_dense(arm: str, round: int) -> Read:
    """Return a reader of an arm's test accuracy less the dense network's, in points."""
    return lambda findings: _effect(arm, findings.main, round, DENSE)(findings)


def _effect(arm: str, over: str, round: int, of_other: int) -> Read:
    def read(findings: Findings) -> str | None:
        effect = findings.effect(arm, over, test_accuracy, round, of_other)
        return None if effect is None else _told(effect, "+")

    return read


def earlier(round: int, than: str = "ticket", of_other: int = DENSE) -> Read:
    """Return a reader that says how many times earlier tickets stop than another arm's round. Default: than
    the dense network."""

    def read(findings: Findings) -> str | None:
        ours = findings.values("ticket", early_stop).get(round, {})
        other = findings.values(than, early_stop).get(of_other, {})
        both = sorted(ours.keys() & other.keys())
        if not both:
            return None
        mine, theirs = (mean(values[each] for each in both) for values in (ours, other))
        return f"{theirs / mine:.2f} times earlier (step {mine:,.0f} against {theirs:,.0f}, n = {len(both)})"

    return read


def at_least_dense(arm: str) -> Read:
    """Return a reader that says down to which density no round of an arm has a mean test accuracy below the
    dense network's, of the rounds that were trained."""

    def read(findings: Findings) -> str | None:
        at = None
        for round in findings.rounds(arm):
            effect = findings.effect(arm, findings.main, test_accuracy, round, DENSE)
            if effect is None:
                return None
            if effect.mean < 0:
                down_to = f"down to {findings.density(at, arm):.1%}, " if at else ""
                return f"{down_to}below it at {findings.density(round, arm):.1%}"
            at = round
        return f"down to {findings.density(at, arm):.1%}, the sparsest that was trained" if at else None

    return read


def peak() -> Read:
    """Return a reader that says which round's tickets have the highest mean test accuracy."""

    def read(findings: Findings) -> str | None:
        means = {
            round: mean(values.values()) for round, values in findings.values("ticket", test_accuracy).items()
        }
        best = max(means, key=means.get, default=DENSE)
        if best == DENSE or DENSE not in means:
            return None
        above = means[best] - means[DENSE]
        return f"at {findings.density(best):.1%}: {means[best]:.2f}, {above:+.2f} (chosen by test accuracy)"

    return read


def claim(name: str) -> Read:
    """Return a reader that says what a study says of a claim."""

    def read(findings: Findings) -> str | None:
        answer = CLAIMS[name](findings)
        if answer.answer == "untested":
            return None
        return f"**{answer.answer}** {answer.describe()}".rstrip()

    return read


def barrier(fork: str, round: int) -> Read:
    """Return a reader of the error barrier between a fork and what it forks, on test data, in points."""

    def read(findings: Findings) -> str | None:
        found: dict[int, list[float]] = {}
        for each in findings.connections:
            if (each.arm, each.round) == (fork, round):
                found.setdefault(each.replicate, []).append(each.barrier("test"))
        return _told(interval([mean(values) for values in found.values()])) if found else None

    return read


def _told(found: Interval, sign: str = "") -> str:
    ends = f"{found.low:.2f} to {found.high:.2f}, " if math.isfinite(found.low) else ""
    return f"{found.mean:{sign}.2f} ({ends}n = {found.count})"


READERS: dict[str, Callable[..., Read]] = {
    "accuracy": accuracy,
    "gain": gain,
    "above_dense": above_dense,
    "earlier": earlier,
    "at_least_dense": at_least_dense,
    "peak": peak,
    "claim": claim,
    "barrier": barrier,
}
"""What `published.yaml` may name."""
