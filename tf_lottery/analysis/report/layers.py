"""How densely the ticket keeps each layer, by round."""

from typing import Any

import numpy as np

from tf_lottery.analysis.masks import Layer
from tf_lottery.analysis.masks import layers as densities
from tf_lottery.analysis.report.blocks import Picture, Section, Table, Text
from tf_lottery.analysis.report.curves import weights_axis
from tf_lottery.analysis.report.drawing import COLOURS, INK, MARKERS, draw
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import label, percent
from tf_lottery.method.matching import setting

MOST = 8
"""The most layers that have a line each; more are drawn as a map."""
COLUMNS = 10
"""The most rounds that the table has a column for: of more, some from the first to the last."""


def layers(material: Material) -> Section:
    """Return the section of the ticket's densities by layer, without blocks if nothing is pruned.

    Args:
        material: The study.
    """
    found = [layer for layer in densities(_alike(material)) if layer.arm == material.main]
    if not found:
        return Section("layers", "Where the weights remain", [])
    rounds = list(dict.fromkeys(layer.round for layer in found))
    whole = {layer.round: layer.density for layer in found if layer.path == "all"}
    paths = [path for path in dict.fromkeys(layer.path for layer in found) if path != "all"]
    by_place = {(layer.path, layer.round): layer for layer in found}
    return Section(
        "layers",
        "Where the weights remain",
        [
            _picture(material.main, paths, rounds, by_place, whole),
            _table(material.main, paths, rounds, by_place, whole),
            Text("Densities are means over replicates: the share of a layer's weights that remains.", "note"),
        ],
    )


def _alike(material: Material) -> list[Any]:
    """Return the ticket's runs that have the same layers."""
    runs = [record for record in material.records if record.spec.arm == material.main]
    return [run for run in runs if setting(run.spec)[1] == setting(runs[0].spec)[1]]


def _table(
    arm: str,
    paths: list[str],
    rounds: list[int],
    by_place: dict[tuple[str, int], Layer],
    whole: dict[int, float],
) -> Table:
    chosen = np.unique(np.linspace(0, len(rounds) - 1, COLUMNS).round().astype(int))
    rounds = [rounds[at] for at in chosen]
    head = ["layer", "weights", *(f"round {at}" for at in rounds)]

    def cells(path: str) -> list[str]:
        total = next(layer.total for (name, _), layer in by_place.items() if name == path)
        every = [by_place.get((path, at)) for at in rounds]
        shown = [percent(layer.density if layer else None) for layer in every]
        return ["all" if path == "all" else path, f"{total:,}", *shown]

    return Table(f"Densities of {arm} by layer and round", head, [cells(path) for path in [*paths, "all"]])


def _picture(
    arm: str,
    paths: list[str],
    rounds: list[int],
    by_place: dict[tuple[str, int], Layer],
    whole: dict[int, float],
) -> Picture:
    title = f"Density of each layer of {arm}, against the percent of all weights remaining."
    few = len(paths) <= MOST
    how = (
        "Lines above the dashed one are layers that keep more than their share."
        if few
        else ("A row for each layer, the input at the top; a column for each round. Dark layers keep little.")
    )

    def lines(figure: Any) -> None:
        axes = figure.subplots()
        every: list[float] = []
        for place, path in enumerate(paths):
            at = [(100 * whole[r], 100 * by_place[path, r].density) for r in rounds if (path, r) in by_place]
            at = [(100.0, 100.0), *((x, y) for x, y in at if x > 0 and y > 0)]
            every += [x for x, _ in at]
            axes.plot(
                *zip(*at, strict=True),
                color=COLOURS[place],
                marker=MARKERS[place],
                markersize=max(3.5, 7.5 - place),
                linewidth=1.3,
                label=path,
            )
        axes.plot(
            [100, min(every)], [100, min(every)], color=INK, linewidth=1, linestyle=(0, (8, 4)), label="all"
        )
        axes.set_yscale("log")
        marks = [100.0, *(100 * density for density in whole.values() if density > 0)]
        weights_axis(axes, every, marks)
        shown = [m for m in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1) if m >= axes.get_ylim()[0]]
        axes.set_yticks(shown, [label(mark) for mark in shown])
        axes.minorticks_off()
        axes.set_ylabel("density of the layer (%)")

    def heat(figure: Any) -> None:
        axes = figure.subplots()
        values = [
            [100 * by_place[path, r].density if (path, r) in by_place else float("nan") for r in rounds]
            for path in paths
        ]
        image = axes.imshow(values, aspect="auto", cmap="cividis", vmin=0, vmax=100, interpolation="none")
        step = max(1, -(-len(paths) // 24))
        axes.set_yticks(range(0, len(paths), step), [path[-28:] for path in paths[::step]], fontsize=6.5)
        every = max(1, -(-len(rounds) // 8))
        axes.set_xticks(range(0, len(rounds), every), [label(100 * whole[r]) for r in rounds[::every]])
        axes.set_xlabel("weights remaining in all layers (%)")
        figure.colorbar(image, ax=axes, label="density of the layer (%)")

    height = 3.0 if few else min(7.0, 2.2 + 0.13 * len(paths))
    caption = f"Density of each layer of {arm}, by round. {how}"
    return draw("layers", title, caption, lines if few else heat, height, legend_columns=3)
