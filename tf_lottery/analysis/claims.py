"""Claims of papers, each tested on a study's finished runs.

To add one, write a function `Findings -> Answer` and a line in `CLAIMS`. The first line of its docstring is
the statement, with the source in brackets.

At which round arms are compared is settled before anyone looks at test accuracies: at densities that papers
name, or at the sparsest matching ticket, which validation chooses.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tf_lottery.analysis.claim import FAILS, HOLDS, UNDECIDED, UNTESTED, Answer, answer_of, decided, untested
from tf_lottery.analysis.findings import (
    DENSE,
    FASTEST,
    Findings,
    early_stop,
    seconds_to_stop,
    test_accuracy,
    validation_accuracy,
)
from tf_lottery.analysis.literature import LITERATURE, beats, beats_each, randomly_pruned
from tf_lottery.analysis.stability import stable_to_noise

Claim = Callable[[Findings], Answer]

MOST_ACCURATE = 0.135
"""The density at which the article finds tickets most accurate (LeNet: more than 0.3 points above)."""
NOT_LEARNED = (
    "A dense network's validation loss was lowest before the first step: it didn't learn, and to match it "
    "says nothing. Lower training.learning_rate."
)
GAIN = 0.3
"""By more than how many points tickets generalize better at that density."""


def winning_ticket(findings: Findings) -> Answer:
    """There is a winning ticket: it matches, and no control that was trained is as good (F. & C. 2018)."""
    main, match = findings.main, matching_ticket(findings)
    if match.answer == UNTESTED:
        return match
    controls = [arm for arms_of in CONTROLS.values() for arm in arms_of(findings)]
    arms = [arm for arm in controls if beats(findings, main, arm).answer != UNTESTED]
    if not arms:
        return untested("No control is trained. Add arms: {ticket: {}, random_reinit: {}, shuffled: {}}.")
    at = findings.round_to_compare(main, *arms)
    if match.answer == HOLDS:  # one ticket has to do all of it
        surely = match.where["round"]
        at = findings.nearest(
            match.where["density"], [r for r in findings.shared(main, *arms) if r <= surely]
        )
    if at is None:
        return untested(
            f"{', '.join(arms)} have no round in common at which the ticket may match. Give them the same "
            "rounds."
        )
    parts = {"that it matches": match.answer}
    for arm in arms:
        better = findings.effect(main, arm, test_accuracy, at).above(0.0)
        parts[f"that it beats {arm}"] = answer_of(better)
    for answer in (FAILS, UNDECIDED):
        if names := [name for name, each in parts.items() if each == answer]:
            why = f"{answer.capitalize()} at round {at} ({findings.density(at):.1%}): {', '.join(names)}."
            return Answer(answer, why, where={"round": at})
    why = f"The ticket of round {at} ({findings.density(at):.1%}) matches, and beats {', '.join(arms)}."
    return Answer(HOLDS, why, where={"round": at})


def matching_ticket(findings: Findings) -> Answer:
    """A sparse ticket is as accurate as the dense network (Frankle & Carbin 2018)."""
    return _matching(findings, findings.rounds(findings.main), "Prune at least once.")


def at_10_to_20_percent(findings: Findings) -> Answer:
    """A ticket with 10 to 20% of the weights is as accurate as the dense network (Frankle & Carbin 2018)."""
    rounds = [r for r in findings.rounds(findings.main) if 0.1 <= findings.density(r) <= 0.2]
    return _matching(findings, rounds, "Prune to 10 to 20%: pruning: {rounds: 8} at a rate of 0.2.")


def at_1_percent(findings: Findings) -> Answer:
    """A ticket with 1.2% of the weights is as accurate as the dense network (tested, not claimed, 2018)."""
    rounds = [r for r in findings.rounds(findings.main) if 0.008 <= findings.density(r) <= 0.015]
    return _matching(findings, rounds, "Prune to 1.2%: pruning: {rounds: 20} at a rate of 0.2.")


def learns_faster(findings: Findings) -> Answer:
    """Tickets at 21% reach early stop in fewer steps than the dense network (Frankle & Carbin 2018)."""
    return _faster(findings, early_stop, "steps")


def learns_faster_in_seconds(findings: Findings) -> Answer:
    """Tickets at 21% that the sparse engine trains reach early stop in less time (this library's claim)."""
    at = findings.near(FASTEST)
    runs = [r for r in findings.records if (r.spec.arm, r.spec.round) == (findings.main, at)]
    if not runs or any(record.resolved.get("engine") != "sparse" for record in runs):
        return untested("The sparse engine didn't train tickets at 21%. Set training: {engine: auto}.")
    return _faster(findings, seconds_to_stop, "seconds")


def generalizes_better(findings: Findings) -> Answer:
    """Tickets at 13.5% have over 0.3 points more test accuracy than dense (Frankle & Carbin 2018)."""
    main, at = findings.main, findings.near(MOST_ACCURATE)
    if not findings.has_learned():
        return untested(NOT_LEARNED)
    effect = None if at is None else findings.effect(main, main, test_accuracy, at, DENSE)
    if effect is None:
        return untested("No ticket near 13.5% is trained. Set pruning: {rounds: 9} at a rate of 0.2.")
    why = f"Test accuracy at early stop of round {at} ({findings.density(at):.1%}) less the dense network's."
    return decided(effect.above(GAIN), why, effect, round=at)


def reinitialized_is_worse(findings: Findings) -> Answer:
    """The same mask is worse with weights drawn anew (Frankle & Carbin 2018)."""
    controls = findings.on(findings.main, "random_reinit")
    if not controls:
        return untested("No control is trained. Add arms: {ticket: {}, random_reinit: {}}.")
    return beats_each(findings, findings.main, controls)


def _matching(findings: Findings, rounds: list[int], otherwise: str) -> Answer:
    """Answer whether a ticket of some rounds surely matches, and every denser one on the mean, which is the
    matching rule: it tells of the sparsest that does, or else of the densest of these rounds that is
    undecided, or of the densest of all that stands against it."""
    main, tolerance = findings.main, 100 * findings.study.tolerance
    tested = {r: findings.effect(main, main, validation_accuracy, r, DENSE) for r in findings.rounds(main)}
    tested = {round: effect for round, effect in tested.items() if effect is not None}
    rounds = [round for round in rounds if round in tested]
    if not rounds:
        return untested(f"No such ticket is trained. {otherwise}".rstrip())
    if not findings.has_learned():
        return untested(NOT_LEARNED)
    match = {round: effect.at_least(-tolerance) for round, effect in tested.items()}
    by_mean = {round: effect.mean >= -tolerance - 1e-9 for round, effect in tested.items()}
    surely = [r for r in rounds if match[r] and all(by_mean[at] for at in tested if at < r)]
    perhaps = [r for r in rounds if all(known is not False for at, known in match.items() if at <= r)]
    known = True if surely else None if perhaps else False
    of_these = (round for round in perhaps if match[round] is None)
    against = next(of_these, None) or next(at for at, each in match.items() if each is known)
    at = surely[-1] if surely else against
    allowed = f" ({-tolerance:g} or more matches)" if tolerance else ""
    why = (
        f"Validation accuracy of round {at} ({findings.density(at):.1%} of the weights) less the dense "
        f"network's{allowed}; every denser round has to match on the {tested[at].statistic}."
    )
    return decided(known, why, tested[at], round=at, density=findings.density(at))


def _faster(findings: Findings, read: Callable, unit: str) -> Answer:
    main, at = findings.main, findings.near(FASTEST)
    effect = None if at is None else findings.effect(main, main, read, at, DENSE)
    if effect is None:
        return untested("No ticket near 21% is trained. Set pruning: {rounds: 7} at a rate of 0.2.")
    if not findings.has_learned():
        return untested(NOT_LEARNED)
    why = f"Early stop of round {at} ({findings.density(at):.1%} of the weights) less the dense network's."
    return decided(effect.below(0.0), why, effect, unit, round=at)


CONTROLS: dict[str, Callable[[Findings], list[str]]] = {
    "reinitialized_is_worse": lambda findings: findings.on(findings.main, "random_reinit"),
    "more_than_its_layers": lambda findings: findings.on(findings.main, "shuffled"),
    "beats_random_pruning": randomly_pruned,
    "beats_smart_ratios": lambda findings: findings.on(findings.main, "smart_ratio"),
    "beats_random_sparsity": lambda findings: findings.on(findings.main, "static"),
}
"""The claims that say that a control is worse than the ticket, each with the arms that are such controls."""

CLAIMS: dict[str, Claim] = {
    "winning_ticket": winning_ticket,
    "matching_ticket": matching_ticket,
    "at_10_to_20_percent": at_10_to_20_percent,
    "at_1_percent": at_1_percent,
    "learns_faster": learns_faster,
    "learns_faster_in_seconds": learns_faster_in_seconds,
    "generalizes_better": generalizes_better,
    "reinitialized_is_worse": reinitialized_is_worse,
    **LITERATURE,
    "stable_to_noise": stable_to_noise,
}
"""The claims, in the order in which a verdict tells them."""


@dataclass(frozen=True)
class Told:
    """A claim and what a study says of it.

    Attributes:
        name: The claim's name in `CLAIMS`.
        statement: What it says.
        source: Who says it, or whose method the ticket is compared with.
        answer: What the study says.
    """

    name: str
    statement: str
    source: str
    answer: Answer

    def row(self) -> dict[str, Any]:
        """Return it as `verdict --json` prints it."""
        row = asdict(self.answer)
        return {"claim": self.name, "statement": self.statement, "source": self.source, **row}


def judge(findings: Findings) -> list[Told]:
    """Return what a study says of each claim.

    Args:
        findings: The study's finished runs.
    """
    return [Told(name, *_told(claim), claim(findings)) for name, claim in CLAIMS.items()]


@dataclass(frozen=True)
class Together:
    """What several studies say of a claim.

    Attributes:
        name: The claim's name in `CLAIMS`.
        statement: What it says.
        answers: Study -> its answer, of those that test it.
        studies: How many studies were asked.
    """

    name: str
    statement: str
    answers: Mapping[str, str]
    studies: int

    @property
    def answer(self) -> str:
        """The answer of all that test it, if it is the same."""
        alike = set(self.answers.values())
        return alike.pop() if len(alike) == 1 else "not the same in all"


def together(judged: Mapping[str, Sequence[Told]]) -> list[Together]:
    """Return what several studies say of each claim that one of them tests.

    Args:
        judged: Study -> what it says of each claim.
    """
    found = []
    for place, name in enumerate(CLAIMS):
        told = {study: every[place] for study, every in judged.items()}
        tested = {study: each.answer.answer for study, each in told.items() if each.answer.answer != UNTESTED}
        if tested:
            statement = next(iter(told.values())).statement
            found.append(Together(name, statement, tested, len(judged)))
    return found


def combined(judged: Mapping[str, Sequence[Told]]) -> list[str]:
    """Return what several studies say together: a claim holds on any structure if it does in each of them.

    Args:
        judged: Study -> what it says of each claim.
    """
    return [
        f"{each.name}, {len(each.answers)} of {each.studies} studies: {each.answer} "
        f"({'; '.join(f'{study}: {answer}' for study, answer in each.answers.items())})"
        for each in together(judged)
    ]


def _told(claim: Claim) -> tuple[str, str]:
    first = inspect.getdoc(claim).splitlines()[0].rstrip(".")
    statement, _, source = first.rpartition(" (")
    return f"{statement}.", source.removesuffix(")")
