"""The claim that tickets are stable to the noise of SGD. Its line stands in `claims.py:CLAIMS`."""

from statistics import mean

from tf_lottery.analysis.claim import Answer, decided, most_against, untested
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.interpolation import UNSTABLE


def stable_to_noise(findings: Findings) -> Answer:
    """A ticket is stable: no barrier of 2 points between trainings in two orders (Frankle et al. 2020)."""
    forks = findings.on(findings.main, "fork")
    if not forks:
        return untested("No ticket is trained in another order. Add arms: {ticket: {}, fork: {}}.")
    return most_against([_is_stable(findings, arm) for arm in forks], higher=True)


def _is_stable(findings: Findings, arm: str) -> Answer:
    main, at = findings.main, findings.round_to_compare(findings.main, arm)
    replicates: dict[int, list[float]] = {}
    for each in findings.connections:
        if (each.arm, each.round) == (arm, at):
            replicates.setdefault(each.replicate, []).append(each.barrier("test"))
    if not replicates:
        return untested(
            f"The runs of {arm} aren't compared yet. Run `tf-lottery connectivity {findings.study.name}`."
        )
    effect = findings.estimate([mean(barriers) for barriers in replicates.values()])
    why = f"Error barrier on test data between {main} and {arm} at round {at} ({findings.density(at):.1%})."
    return decided(effect.below(UNSTABLE), why, effect, round=at, arm=arm)
