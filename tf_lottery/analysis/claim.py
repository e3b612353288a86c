"""What a study says of a claim: that it holds, that it fails, that it is undecided, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tf_lottery.analysis.statistics import LEVEL, MANY, MEAN, Interval

HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "fails", "undecided", "untested"
ANSWERS = (HOLDS, FAILS, UNDECIDED, UNTESTED)


@dataclass(frozen=True)
class Answer:
    """What a study says of a claim.

    Attributes:
        answer: One of `ANSWERS`. A claim is undecided if the interval of its effect contains both answers,
            and untested if the study lacks runs that it needs.
        why: The reason, one sentence. For an untested claim what would test it, as YAML.
        effect: The mean of the paired differences, or their interquartile mean, and its interval; None if
            nothing was compared.
        unit: The effect's unit.
        where: Which arms and round were compared.
    """

    answer: str
    why: str
    effect: Interval | None = None
    unit: str = "points"
    where: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Return the effect in words: `+0.31 points (0.12 to 0.50, 3 replicates)`."""
        if self.effect is None:
            return ""
        effect = self.effect
        digits = 0 if self.unit == "steps" else 2
        text = f"{effect.mean:+,.{digits}f} {self.unit}"
        if effect.statistic != MEAN:
            text = f"{effect.statistic} {text}".capitalize()
        replicates = f"{effect.count} replicate{'s' if effect.count > 1 else ''}"
        if effect.low == float("-inf"):
            why = ", since many are equal" if effect.count >= MANY else ""
            return f"{text} ({replicates}: no interval{why})"
        return f"{text} ({effect.low:,.{digits}f} to {effect.high:,.{digits}f}, {replicates}, {LEVEL:.0%})"


def untested(why: str) -> Answer:
    """Return the answer of a claim that the study doesn't test.

    Args:
        why: What it lacks, and the YAML that would test it.
    """
    return Answer(UNTESTED, why)


def decided(known: bool | None, why: str, effect: Interval, unit: str = "points", **where: Any) -> Answer:
    """Return the answer that an interval gives.

    Args:
        known: Whether the claim holds; None if the interval contains both answers.
        why: What was compared, one sentence.
        effect: The paired differences' mean and interval.
        unit: The effect's unit.
        where: Which arms and round were compared.
    """
    return Answer(answer_of(known), why, effect, unit, where)


def answer_of(known: bool | None) -> str:
    """Return the answer in a word.

    Args:
        known: Whether the claim holds; None if that is undecided.
    """
    return UNDECIDED if known is None else HOLDS if known else FAILS


def most_against(answers: Sequence[Answer], higher: bool = False) -> Answer:
    """Return of several comparisons that a claim has to pass the one that stands most against it.

    Args:
        answers: At least one. Those that test nothing don't count, unless all are so.
        higher: Whether a higher effect stands against the claim, rather than a lower one.
    """
    tested = [each for each in answers if each.answer != UNTESTED]
    if len(tested) < 2:
        return (tested or answers)[0]
    order, way = (FAILS, UNDECIDED, HOLDS), -1 if higher else 1
    worst = min(tested, key=lambda each: (order.index(each.answer), way * each.effect.mean))
    return replace(
        worst, why=f"{worst.why} Of {len(tested)} such comparisons this one stands most against it."
    )
