"""Which arms a figure shows together, and how each of them looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tf_lottery.analysis.claims import judge
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.plots import prunes
from tf_lottery.analysis.report.drawing import COLOURS, DASHES, MARKERS
from tf_lottery.method.arms import function_name
from tf_lottery.method.matching import setting
from tf_lottery.method.results import Results

MOST = 8
"""The most arms in one figure."""
_TICKETS = {"ticket", "final"}


@dataclass(frozen=True)
class Group:
    """Arms that share a figure.

    Attributes:
        arms: The arms, in order. The main one is the first, if it is on the same data.
        data: The name of their data, if it isn't the study's; otherwise None.
        own: Those that are trained in their own way, or have another network.
    """

    arms: tuple[str, ...]
    data: str | None
    own: tuple[str, ...]


def ordered(findings: Findings) -> list[str]:
    """Return the arms that have finished runs, the most important first.

    These are the main arm, its random reinitialization, and then those that claims compare it with, in the
    order of claims.

    Args:
        findings: The study's finished runs.
    """
    first = [findings.main, *findings.on(findings.main, "random_reinit")]
    first += [each.answer.where["arm"] for each in judge(findings) if "arm" in each.answer.where]
    return [arm for arm in dict.fromkeys([*first, *findings.arms]) if arm in findings.arms]


def groups(findings: Findings) -> list[Group]:
    """Return the arms by figure: at most eight in each, and those on other data by themselves.

    Args:
        findings: The study's finished runs.
    """
    results, main = Results(findings.records), findings.main
    specs = {
        arm: next(r.spec for r in results.of_arm(arm) if r.spec.arm == arm and r.spec.round >= 0)
        for arm in results.arms
    }
    if main not in specs:
        return []
    same, other = [], {}
    for arm in ordered(findings):
        data = specs[arm].data
        if data.digest == specs[main].data.digest:
            same.append(arm)
        else:
            other.setdefault((data.digest, data.name), []).append(arm)
    own = {arm for arm in same if setting(specs[arm])[1:] != setting(specs[main])[1:]}
    parts = [same[:MOST], *_parts(same[MOST:], MOST - 1)]
    found = [
        Group((*([main] if main not in part else []), *part), None, tuple(arm for arm in part if arm in own))
        for part in parts
    ]
    for (_, name), arms in other.items():
        found += [Group(tuple(part), name, ()) for part in _parts(arms, MOST)]
    return found


def _parts(arms: Sequence[str], most: int) -> Iterable[Sequence[str]]:
    return (arms[start : start + most] for start in range(0, len(arms), most))


def style(findings: Findings, group: Group, arm: str) -> dict[str, Any]:
    """Return how an arm is drawn: no two of a group have the same colour, or the same marker.

    Args:
        findings: The study's finished runs.
        group: The arms of the figure.
        arm: The arm.
    """
    place, results = group.arms.index(arm), Results(findings.records)
    known = arm in findings.study.arms
    is_ticket = known and function_name(findings.study, arm) in _TICKETS
    label = arm if prunes(results.of_arm(arm)) else f"{arm} (unpruned)"
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": "-" if is_ticket else DASHES[place % len(DASHES)],
        "label": label,
    }
