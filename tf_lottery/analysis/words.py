"""A verdict in words, for the terminal."""

from collections.abc import Iterable

from tf_lottery.analysis.claim import ANSWERS, UNTESTED
from tf_lottery.analysis.claims import Told


def claim_lines(told: Iterable[Told], untested: bool = False) -> list[str]:
    """Return a line for each claim: the answer, the statement, the effect and what was compared.

    Args:
        told: What a study says of each claim.
        untested: Whether to tell for each untested claim what would test it, rather than their number.
    """
    told = list(told)
    lines = []
    for answer in ANSWERS:
        for each in told:
            if each.answer.answer == answer and (answer != UNTESTED or untested):
                effect = each.answer.describe()
                lines.append(
                    f"{answer:10} {each.statement} {effect + '. ' if effect else ''}{each.answer.why}"
                )
    left = sum(each.answer.answer == UNTESTED for each in told)
    if left and not untested:
        lines.append(
            f"{UNTESTED:10} {left} more claims; `tf-lottery verdict STUDY --all` says what would test each."
        )
    return lines
