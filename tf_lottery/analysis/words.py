"""A verdict in words, for the terminal."""

from collections.abc import Iterable

from tf_lottery.analysis.claim import ANSWERS, UNTESTED
from tf_lottery.analysis.claims import NOT_LEARNED, Told, judge
from tf_lottery.analysis.findings import Findings

ONE_REPLICATE = "One replicate: no claim can be decided. Set replicates: 3."

CLAIM = 11
"""How many characters stand before a claim's statement."""


def claim_lines(told: Iterable[Told], untested: bool = False) -> list[str]:
    """Return a line for each claim: the answer, the statement, the effect and what was compared.

    Args:
        told: What a study says of each claim.
        untested: Whether to tell for each untested claim what would test it, rather than their number.
    """
    told = list(told)
    lines = [NOT_LEARNED] if any(each.answer.why == NOT_LEARNED for each in told) else []
    for answer in ANSWERS:
        for each in told:
            if each.answer.answer == answer and (answer != UNTESTED or untested):
                effect = each.answer.describe()
                lines.append(
                    f"{answer:10} {each.statement} {effect + '. ' if effect else ''}{each.answer.why}"
                )
    left = sum(each.answer.answer == UNTESTED for each in told)
    if left and not untested:
        claims = f"{left} more claim{'s' if left > 1 else ''}"
        lines.append(f"{UNTESTED:10} {claims}; `tf-lottery verdict STUDY --all` says what would test each.")
    return lines


def failed_lines(count: int) -> list[str]:
    """Return what a verdict says of runs that failed: claims are of the others, perhaps the luckier ones.

    Args:
        count: How many failed.
    """
    if not count:
        return []
    runs = "1 run" if count == 1 else f"{count} runs"
    return [
        f"{runs} of the study failed, such as by diverging, and can't count for or against a claim; "
        "`tf-lottery show STUDY` names what failed."
    ]


def closing_lines(findings: Findings, said: Iterable[str] = ()) -> list[str]:
    """Return what `tf-lottery run` says of claims in the end: nothing before a ticket is trained.

    Args:
        findings: The study's finished runs.
        said: The sentences before, which may have told of the one replicate.
    """
    if not findings.rounds(findings.main):
        return []
    if findings.study.replicates > 1:
        return claim_lines(judge(findings))
    return [] if any(sentence.startswith("One replicate") for sentence in said) else [ONE_REPLICATE]
