"""Linear mode connectivity: the error on the line between two trainings, and its barrier, by round."""

from typing import Any

from tf_lottery.analysis.connectivity import Connection
from tf_lottery.analysis.connectivity_words import Line, lines
from tf_lottery.analysis.interpolation import UNSTABLE
from tf_lottery.analysis.report.blocks import Pair, Picture, Section, Table, Text
from tf_lottery.analysis.report.curves import weights_axis
from tf_lottery.analysis.report.drawing import COLOURS, DASHES, INK, MARKERS, draw
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import counted, label, percent

MOST = 7
"""The most rounds whose lines are drawn."""


def connected(material: Material) -> Section:
    """Return the section of connectivity, without blocks if nothing was measured.

    Args:
        material: The study.
    """
    connections = material.connections
    section = Section("connectivity", "Are trainings connected?", [])
    if not connections:
        return section
    found = lines(connections)
    said = Text(
        "Two trainings from one start, that see the examples in two orders, are joined by a straight line. "
        f"Where the test error rises on it by less than {UNSTABLE:g} points, the network is stable to the "
        "noise of SGD (Frankle et al. 2020)."
    )
    pictures = [_line_picture(connections), _barrier_picture(found)]
    return Section(section.name, section.title, [said, Pair(pictures), _table(found)])


def _table(found: list[Line]) -> Table:
    head = ["runs", "round", "weights remaining", "from step", "pairs", "barrier, test (points)", "stable"]
    rows = []
    for each in found:
        spread = f"{each.test.mean:.2f} ({each.test.low:.2f} to {each.test.high:.2f})"
        name = f"{each.arm} of {each.on}" + (", recalibrated" if each.recalibrated else "")
        stable = f"{each.stable} of {each.pairs}"
        rows.append(
            [name, str(each.round), percent(each.density), each.start, str(each.pairs), spread, stable]
        )
    return Table("Error barriers, means over replicates", head, rows)


def error_on_line(connections: list[Connection]) -> dict[tuple[str, int], tuple[float, list[float]]]:
    """Return (arm, round) -> density and the mean test error at each point of the line, in percent.

    Args:
        connections: What was measured.
    """
    places: dict[tuple[str, int], list[Connection]] = {}
    for each in connections:
        places.setdefault((each.arm, each.round), []).append(each)
    return {
        place: (
            sum(each.density for each in alike) / len(alike),
            [sum(at) / len(at) for at in zip(*(each.errors["test"] for each in alike), strict=True)],
        )
        for place, alike in sorted(places.items())
    }


def _line_picture(connections: list[Connection]) -> Picture:
    found = error_on_line(connections)
    step = max(1, -(-len(found) // MOST))
    shown = dict(list(found.items())[::step])
    several = len({arm for arm, _ in shown}) > 1

    def drawn(figure: Any) -> None:
        axes = figure.subplots()
        for place, ((arm, _), (density, errors)) in enumerate(shown.items()):
            shares = [number / (len(errors) - 1) for number in range(len(errors))]
            name = f"{arm}, {label(100 * density)}%" if several else f"{label(100 * density)}% of weights"
            axes.plot(
                shares,
                errors,
                color=COLOURS[place % len(COLOURS)],
                linestyle=("-", *DASHES)[place % 5],
                linewidth=1.4,
                label=name,
            )
        axes.set_xlabel("place on the line between both trainings")
        axes.set_ylabel("test error (%)")
        axes.grid(visible=True)

    title = "Test error on the line between the last weights of two trainings, by weights remaining."
    caption = f"{title} A hill says that they lie in two valleys. Means over replicates."
    return draw("line", title, caption, drawn)


def _barrier_picture(found: list[Line]) -> Picture:
    by_arm: dict[str, list[Line]] = {}
    for each in found:
        name = f"{each.arm} of {each.on}" + (", recalibrated" if each.recalibrated else "")
        by_arm.setdefault(name, []).append(each)

    def drawn(figure: Any) -> None:
        axes = figure.subplots()
        for place, (name, alike) in enumerate(by_arm.items()):
            alike = [each for each in sorted(alike, key=lambda line: line.round) if each.density > 0]
            ys = [each.test.mean for each in alike]
            bars = [
                [each.test.mean - each.test.low for each in alike],
                [each.test.high - each.test.mean for each in alike],
            ]
            axes.errorbar(
                [100 * each.density for each in alike],
                ys,
                bars,
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                linestyle=("-", *DASHES)[place % 5],
                markersize=4,
                capsize=2,
                linewidth=1.4,
                label=name,
            )
        axes.axhline(UNSTABLE, color=INK, linewidth=1, linestyle=(0, (8, 4)), label="stable below")
        densities = sorted({100 * each.density for each in found}, reverse=True)
        weights_axis(axes, densities, densities)
        axes.set_ylabel("barrier on test data (points)")

    title = "Error barrier against percent of weights remaining."
    pairs = counted(sum(each.pairs for each in found if not each.recalibrated), "pair")
    return draw("barrier", title, f"{title} Bars from minimum to maximum over replicates; {pairs}.", drawn)
