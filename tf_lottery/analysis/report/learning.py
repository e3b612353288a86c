"""Learning curves of the dense network and of some tickets: how they are learned, step by step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

from tf_lottery.analysis.report.blocks import Pair, Picture, Section, Text
from tf_lottery.analysis.report.drawing import COLOURS, INK, LEVEL, draw
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import counted, label
from tf_lottery.errors import DamagedError
from tf_lottery.method.spec import Record
from tf_lottery.store.store import Store

NAMED = (0.513, 0.211, 0.07, 0.036, 0.019)
"""The densities of rounds that papers draw."""
WARMING = 0.1
"""The axis leaves out values worse than those after this share of the steps, where everything rises fast."""


@dataclass(frozen=True)
class Curve:
    """A curve of one arm and round over steps: means over replicates.

    Attributes:
        label: Its name.
        steps: The steps at which all of its runs were evaluated.
        mean: The mean at each of them.
        low: The least.
        high: The greatest.
        control: Whether it is the random reinitialization.
        dense: Whether it is the dense network.
    """

    label: str
    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    control: bool = False
    dense: bool = False


def chosen(material: Material) -> list[int]:
    """Return the rounds that are drawn: those nearest the densities of papers, the matching and the last one.

    Args:
        material: The study.
    """
    findings = material.findings
    rounds = findings.rounds(findings.main)
    if not rounds:
        return []
    found = [at for at in map(findings.near, NAMED) if at is not None]
    extra = [] if material.best is None else [material.best]
    return sorted({*found, *extra, rounds[-1]})[:6]


def averaged(
    name: str, runs: Sequence[dict[str, list]], what: str, scale: float, **kind: bool
) -> Curve | None:
    """Return the mean of runs' curves at the steps that all of them have; None if there are none.

    Args:
        name: The curve's name.
        runs: The evaluations of runs, as the store returns them.
        what: Which of them: `validation_accuracy` or `validation_loss`.
        scale: What values are multiplied by.
        kind: Fields of `Curve`.
    """
    by_step = [
        {
            step: scale * value
            for step, value in zip(run["step"], run[what], strict=True)
            if value is not None and math.isfinite(value)
        }
        for run in runs
    ]
    if not by_step:
        return None
    steps = sorted(set.intersection(*map(set, by_step)))
    if not steps:
        return None
    values = [[run[step] for run in by_step] for step in steps]
    return Curve(
        name, steps, [mean(v) for v in values], [min(v) for v in values], [max(v) for v in values], **kind
    )


def learning(material: Material) -> Section:
    """Return the section of learning curves, without blocks if there are none.

    Args:
        material: The study.
    """
    main = material.main
    kinds = (
        ("learning", "validation_accuracy", 100.0, "validation accuracy (%)"),
        ("learning_loss", "validation_loss", 1.0, "validation loss"),
    )
    pictures = []
    for name, what, scale, axis in kinds:
        found = [_curve(material, main, at, what, scale) for at in (0, *chosen(material))]
        controls = material.findings.on(main, "random_reinit")
        at = _compared(material, controls)
        if at is not None:
            found.append(_curve(material, controls[0], at, what, scale, control=True))
        found = [curve for curve in found if curve is not None]
        if found:
            pictures.append(_picture(material, found, name, axis, higher="accuracy" in what))
    if not pictures:
        return Section("learning", "Learning curves", [])
    note = "Validation data, of which early stop is chosen. "
    if material.study.replicates > 1:
        note += f"Means of {counted(material.study.replicates, 'replicate')}; bands from minimum to maximum. "
    note += "The steepest part of the beginning is cut off."
    return Section("learning", "Learning curves", [Pair(pictures), Text(note, "note")])


def _compared(material: Material, controls: list[str]) -> int | None:
    if not controls:
        return None
    rounds = [at for at in chosen(material) if at in material.findings.rounds(controls[0])]
    return rounds[-1] if rounds else None


def _curve(
    material: Material, arm: str, round: int, what: str, scale: float, control: bool = False
) -> Curve | None:
    runs: list[Record] = [r for r in material.results.of_arm(arm) if r.spec.round == round]
    read = [material.read("curves", record, partial(_whole, material.store)) for record in runs]
    known = [curves for curves in read if curves is not None]
    if not known:
        return None
    density = 100 * mean(record.density for record in runs)
    name = LEVEL if round == 0 else f"{arm}, {label(density)}%"
    return averaged(name, known, what, scale, control=control, dense=round == 0)


def _whole(store: Store, key: str) -> dict[str, list]:
    """Return a run's evaluations. Those of early versions have no digest, so their form is looked at."""
    curves = store.curves(key)
    names = ("step", "validation_loss", "validation_accuracy")
    lists = [curves.get(name) if isinstance(curves, dict) else None for name in names]
    if not all(map(_is_column, lists)) or len(set(map(len, lists))) > 1:
        path = store.paths.run(key).curves
        raise DamagedError(f"The curves {path} are damaged (they lack values).", key, path)
    return curves


def _is_column(values: object) -> bool:
    return isinstance(values, list) and all(each is None or isinstance(each, int | float) for each in values)


def _picture(material: Material, found: list[Curve], name: str, axis: str, higher: bool) -> Picture:
    title = (
        f"{axis.removesuffix(' (%)').capitalize()} over training steps: {'; '.join(c.label for c in found)}."
    )
    caption = f"{axis.removesuffix(' (%)').capitalize()}, over the steps of training."

    def drawn(figure: Any) -> None:
        axes = figure.subplots()
        colours = iter(COLOURS * 2)
        for curve in found:
            colour = INK if curve.dense else next(colours)
            stroke = (0, (8, 4)) if curve.dense else (0, (4, 1.5)) if curve.control else "-"
            axes.plot(
                curve.steps, curve.mean, color=colour, linestyle=stroke, linewidth=1.3, label=curve.label
            )
            if curve.low != curve.high:
                axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.13, linewidth=0)
        _cut(axes, found, higher)
        axes.set_xlabel("step")
        axes.set_ylabel(axis)
        axes.grid(visible=True)

    return draw(name, title, caption, drawn)


def _cut(axes: Any, found: list[Curve], higher: bool) -> None:
    """Let the axis leave out the steep beginning, if there is anything after it."""
    last = max(curve.steps[-1] for curve in found)
    late = [
        (low, high)
        for curve in found
        for step, low, high in zip(curve.steps, curve.low, curve.high, strict=True)
        if step >= WARMING * last
    ]
    bottom, top = min(low for low, _ in late), max(high for _, high in late)
    margin = 0.05 * (top - bottom) or 0.01
    axes.set_ylim(bottom - margin, top + margin)
