"""The papers' two figures: test accuracy at early stop, and the step of early stop, by weights remaining."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tf_lottery.analysis.findings import test_accuracy
from tf_lottery.analysis.plots import by_density
from tf_lottery.analysis.report import arms as arms_
from tf_lottery.analysis.report.arms import Group
from tf_lottery.analysis.report.blocks import Pair, Picture, Section, Text
from tf_lottery.analysis.report.drawing import INK, LEVEL, STAR, draw
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import label, listed
from tf_lottery.method.matching import by_round
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Finished

MOST_LABELS = 8
"""The most labels that an axis of weights remaining has."""

LEFT_IF_COMPARED, LEFT = 1.5, 4.0
"""How far an axis reaches: so many times as far as the ticket and its random reinitialization fall, or the
ticket alone."""


@dataclass(frozen=True)
class Point:
    """A point of a curve: the mean of replicates, whose trials are averaged first.

    Attributes:
        round: The round; 0 is the dense network.
        density: The weights remaining, in percent.
        mean: The mean of replicates.
        low: The least of them.
        high: The greatest of them.
        replicates: How many there are.
    """

    round: int
    density: float
    mean: float
    low: float
    high: float
    replicates: int


def points(results: Results, arm: str, value: Callable[[Finished], float]) -> list[Point]:
    """Return the points of an arm, the dense network first.

    Args:
        results: The study's finished runs.
        arm: The arm. Arms that prune nothing stand where the tickets of their rounds do.
        value: A function that reads the value from a record.
    """
    counts = {round: len(values) for round, values in by_round(results.of_arm(arm), value).items()}
    found = by_density(results, arm, value)
    return [Point(at, x, *values, counts[at]) for at, (x, values) in sorted(found.items()) if at >= 0]


def curves(material: Material) -> Section:
    """Return the section with both figures, and further ones if there are many arms.

    Args:
        material: The study.
    """
    blocks: list[Any] = []
    found = arms_.groups(material.findings)
    for number, group in enumerate(found, 1):
        pair = Pair([_figure(material, group, number, is_test) for is_test in (True, False)])
        notes = [Text(text, "note") for text in _notes(material, group)]
        if number == 1 or group.data is not None:
            blocks += [pair, *notes]
        else:
            # the first figure has the arms that matter most
            blocks += [Text(f"Further arms: {listed([a for a in group.arms if a != material.main])}."), pair]
            blocks += notes
    return Section("curves", "Accuracy and speed as weights go", blocks)


def _figure(material: Material, group: Group, number: int, is_test: bool) -> Picture:
    value = test_accuracy if is_test else (lambda record: float(record.early_stop_iteration))
    name = ("test_accuracy" if is_test else "early_stop") + (f"_{number}" if number > 1 else "")
    what = "Test accuracy at early stop" if is_test else "Step of early stop"
    where = f", on {group.data}" if group.data else ""
    title = f"{what} against percent of weights remaining{where}: {', '.join(group.arms)}."
    how = "Higher is better." if is_test else "The step of least validation loss: lower is faster."
    caption = (
        f"{what}, against the percent of weights remaining{where}. The dense network is at the left. {how}"
    )
    if material.study.replicates > 1:
        caption += f" Means of {material.study.replicates} replicates, bars from minimum to maximum."
    axis = "test accuracy at early stop (%)" if is_test else "step of early stop"
    lowest = floor(material) if is_test and group.data is None else None
    below = [
        arm
        for arm in group.arms
        if lowest is not None and any(p.low < lowest for p in points(material.results, arm, value))
    ]
    if below:
        caption += f" Values below {lowest:.1f} are cut off ({listed(below)}); the table of tickets has them."
    best = material.best if group.data is None else None

    def drawn(figure: Any) -> None:
        axes = figure.subplots()
        of_arms = {arm: points(material.results, arm, value) for arm in group.arms}
        for arm, found in of_arms.items():
            _line(axes, found, arms_.style(material.findings, group, arm), material.study.replicates)
        first = of_arms[group.arms[0]]
        if first and first[0].round == 0:
            axes.axhline(
                first[0].mean,
                color=INK,
                linewidth=1.1,
                linestyle=(0, (8, 4)),
                zorder=1,
                label=LEVEL,
            )
        star = [p for p in of_arms.get(material.main, []) if best is not None and p.round == best]
        for point in star:
            text = f"{STAR} ({label(point.density)}%)"
            axes.plot(
                point.density, point.mean, "*", color="none", markeredgecolor=INK, markersize=13, label=text
            )
        weights_axis(
            axes, [p.density for found in of_arms.values() for p in found], _marks(material, of_arms)
        )
        axes.set_ylabel(axis)
        if lowest is not None:
            axes.set_ylim(bottom=lowest)

    return draw(name, title, caption, drawn)


def floor(material: Material) -> float | None:
    """Return the value below which the axis of accuracies is cut off, so that the ticket can be seen.

    It is the same in all figures. It follows from the ticket and its random reinitialization, all of which is
    shown.

    Args:
        material: The study.

    Returns:
        The lowest value in percent; None if nothing is cut off.
    """
    main = material.main
    controls = material.findings.on(main, "random_reinit")
    shown = [p for arm in (main, *controls) for p in points(material.results, arm, test_accuracy)]
    every = [p for arm in material.results.arms for p in points(material.results, arm, test_accuracy)]
    top, low = max(p.high for p in every), min(p.low for p in shown)
    lowest = top - (LEFT_IF_COMPARED if controls else LEFT) * (top - low)
    return lowest if lowest > min(p.low for p in every) else None


def _line(axes: Any, found: Sequence[Point], style: dict[str, Any], replicates: int) -> None:
    """Draw an arm; points that lack replicates are hollow."""
    found = [point for point in found if point.density > 0]  # the axis is logarithmic
    xs, ys = [p.density for p in found], [p.mean for p in found]
    bars = [[p.mean - p.low for p in found], [p.high - p.mean for p in found]]
    axes.errorbar(xs, ys, bars, linewidth=1.4, markersize=4, capsize=1.8, elinewidth=0.9, **style)
    for point in found:
        if point.replicates < replicates:
            axes.plot(
                point.density,
                point.mean,
                style["marker"],
                color=style["color"],
                markerfacecolor="#ffffff",
                markersize=4,
            )


def _marks(material: Material, of_arms: dict[str, list[Point]]) -> list[float]:
    """Return the densities that the axis names: those of every so many rounds of the main arm."""
    ticks = of_arms.get(material.main) or next(iter(of_arms.values()))
    return [point.density for point in ticks if point.density > 0]


def weights_axis(axes: Any, densities: Sequence[float], marks: Sequence[float]) -> None:
    """Make the horizontal axis one of weights remaining, as the papers draw it: dense at the left.

    Args:
        axes: The axes of matplotlib.
        densities: All densities, in percent.
        marks: Those that may have a label, in percent, the greatest first. So many are left out that none
            overlap.
    """
    axes.set_xscale("log")
    low = min((each for each in densities if each > 0), default=1.0)
    apart = math.log(100 / min(low, 99)) / (MOST_LABELS + 0.5)
    shown: list[float] = []
    for mark in marks:
        if not shown or math.log(shown[-1] / mark) >= apart:
            shown.append(mark)
    axes.set_xticks(shown, [label(density) for density in shown])
    axes.minorticks_off()
    axes.set_xlim(max(100.0, *densities, 100.0) * 1.12, low / 1.12)
    axes.set_xlabel("weights remaining (%)")
    axes.grid(visible=True)


def _notes(material: Material, group: Group) -> list[str]:
    notes = []
    if group.data is not None:
        notes.append(
            f"These arms are trained and tested on other data ({group.data}) than the study's "
            f"({material.study.data.name}), so they have a figure of their own."
        )
    if group.own:
        notes.append(
            f"Not trained as the ticket is, or of another network: {listed(group.own)}. The dashed level is "
            "that of the study's own dense network."
        )
    found = [p for arm in group.arms for p in points(material.results, arm, lambda record: record.density)]
    if any(p.replicates < material.study.replicates for p in found):
        notes.append(f"Hollow points lack some of the {material.study.replicates} replicates.")
    if any(p.density == 0 for p in found):
        notes.append("Rounds in which no weight remains are in the table of tickets only.")
    return notes
