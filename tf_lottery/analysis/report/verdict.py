"""The verdict of a report: a sentence for a learner, what runs are missing, and the claims."""

from dataclasses import replace
from typing import Any

from tf_lottery.analysis.claim import ANSWERS, FAILS, HOLDS, UNDECIDED, UNTESTED, Answer, untested
from tf_lottery.analysis.claims import Told, judge
from tf_lottery.analysis.report.blocks import Claims, Folded, Row, Section, Text
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import counted, percent
from tf_lottery.analysis.statistics import LEVEL
from tf_lottery.analysis.verdict import verdict as sentences
from tf_lottery.analysis.words import ONE_REPLICATE
from tf_lottery.method.results import Results

SIGNS = {HOLDS: "✓", FAILS: "✗", UNDECIDED: "?", UNTESTED: "-"}
"""A sign for each answer, which stands beside the word."""
_WINNING = "winning_ticket"


def verdict(material: Material) -> Section:
    """Return the first section of a report.

    Args:
        material: The study.
    """
    told = judged(material)
    blocks = [Text(headline(material, told), "lead"), *_notices(material)]
    words = [
        sentence
        for sentence in sentences(material.records, material.study.tolerance)
        if not sentence.startswith("One replicate")
    ]
    words = words if material.finished else ["So far:", *words]
    blocks.append(Text(" ".join([*words, *_two_rounds(material, told)])))
    if material.study.replicates == 1:
        blocks.append(
            Text(
                f"{ONE_REPLICATE} Differences of about half a point can be the luck of its seed.",
                "notice",
            )
        )
    return Section("verdict", "Verdict", [*blocks, *claims(told, material)])


def judged(material: Material) -> list[Told]:
    """Return what a study says of each claim. While runs are missing, no winning ticket is claimed.

    Args:
        material: The study.
    """
    told = judge(material.findings)
    if material.finished:
        return told
    waits = untested("The study isn't finished. Run it to its end.")
    return [replace(each, answer=waits) if each.name == _WINNING else each for each in told]


def headline(material: Material, told: list[Told]) -> str:
    """Return what a study says, in a sentence for who has never heard of tickets.

    Args:
        material: The study.
        told: What it says of each claim.
    """
    if not material.records:
        return "No run of this study is finished yet, so it says nothing yet."
    if not material.finished:
        return "This study isn't finished, so it claims nothing about a winning ticket yet."
    answer = next(each.answer for each in told if each.name == _WINNING)
    if answer.answer == HOLDS:
        density = material.findings.density(answer.where["round"])
        return (
            f"There is a winning ticket: with {percent(density)} of its weights, trained alone from where "
            "they started, the network does as well as with all of them, and every control that was trained "
            "does worse."
        )
    if material.study.replicates == 1 and answer.answer != UNTESTED:
        return (
            "Nothing is decided: the study has one replicate, and one training of each kind can't tell a "
            "winning ticket from luck."
        )
    said = {
        FAILS: "No winning ticket was found: the sparse networks don't do as well as the whole network, or "
        "a control does as well as they do.",
        UNDECIDED: "Whether there is a winning ticket is undecided: the replicates differ too much, or are "
        "too few, to tell.",
        UNTESTED: "This study doesn't test whether there is a winning ticket.",
    }
    return f"{said[answer.answer]} {answer.why}"


def _two_rounds(material: Material, told: list[Told]) -> list[str]:
    """Return why the headline's ticket isn't the sparsest that matches on the mean, if it isn't."""
    answer = next(each.answer for each in told if each.name == _WINNING)
    best = Results(material.records).matching_round(material.study.tolerance)
    if answer.answer != HOLDS or best in (None, answer.where["round"]):
        return []
    first, second = (
        f"round {round} ({percent(material.findings.density(round))})"
        for round in (best, answer.where["round"])
    )
    return [
        f"{first.capitalize()} matches on the mean; of the rounds with controls, {second} is the sparsest "
        "that matches by its interval over replicates, too."
    ]


def _notices(material: Material) -> list[Text]:
    """Return what a reader has to know before the rest: what is missing, failed or damaged."""
    notices = []
    if not material.finished:
        done = counted(len({record.key for record in material.records}), "run")
        if material.left is None:
            left = f"at least {counted(material.ready, 'run')} left, until a stop rule ends the study"
        else:
            rule = material.study.pruning.max_accuracy_drop is not None
            left = f"{'at most ' if rule else ''}{counted(max(material.left, material.ready), 'run')} left"
        notices.append(
            f"{done} {'is' if done.startswith('1 ') else 'are'} finished, {left}. What follows is of the "
            "finished ones and may change."
        )
    if material.failed:
        reasons = "; ".join(failure.describe() for failure in material.failed[:3])
        more = f"; and {len(material.failed) - 3:,} more" if len(material.failed) > 3 else ""
        notices.append(
            f"{counted(len(material.failed), 'run')} failed, and what builds on them is missing: "
            f"{reasons}{more}."
        )
    return [Text(each, "notice") for each in notices]


def claims(told: list[Told], material: Material) -> list[Any]:
    """Return the table of claims; those that aren't tested are folded.

    Args:
        told: What the study says of each claim.
        material: The study.
    """
    rows = {answer: [row(each) for each in told if each.answer.answer == answer] for answer in ANSWERS}
    tested = [each for answer in ANSWERS[:-1] for each in rows[answer]]
    blocks: list[Any] = []
    if tested:
        soon = "" if material.finished else ", so far"
        blocks.append(Claims(f"Claims of papers, tested on this study{soon}", tested))
        blocks.append(
            Text(
                f"Effects are means of paired differences, with their {LEVEL:.0%} interval. A claim is "
                "undecided if the interval contains both answers.",
                "note",
            )
        )
    if rows[UNTESTED]:
        count = counted(len(rows[UNTESTED]), "claim")
        blocks.append(
            Folded(
                f"{count} that this study doesn't test, and what would test each",
                [Claims("Claims that aren't tested", rows[UNTESTED])],
            )
        )
    return blocks


def row(told: Told) -> Row:
    """Return a claim as a table shows it.

    Args:
        told: The claim, and what the study says of it.
    """
    effect, interval = effects(told.answer)
    answer = told.answer.answer
    return Row(answer, SIGNS[answer], told.statement, told.source, effect, interval, told.answer.why)


def effects(answer: Answer) -> tuple[str, str]:
    """Return the effect and its interval in words; `none` where the values can't tell.

    Args:
        answer: What the study says of a claim.
    """
    effect = answer.effect
    if effect is None:
        return "", ""
    digits = 0 if answer.unit == "steps" else 2
    text = f"{effect.mean:+,.{digits}f} {answer.unit}"
    if effect.low == float("-inf"):
        return text, f"none ({counted(effect.count, 'replicate')})"
    interval = f"{effect.low:+,.{digits}f} to {effect.high:+,.{digits}f}"
    return text, f"{interval} ({counted(effect.count, 'replicate')})"
