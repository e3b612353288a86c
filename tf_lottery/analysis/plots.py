"""The paper's two pictures (Frankle & Carbin 2018, Figures 3 and 4), of studies and of searches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from tf_lottery import atomic
from tf_lottery.method.matching import by_round
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Finished, Record

STYLES: dict[str, dict[str, Any]] = {
    "ticket": {"color": "#1f5fa8", "marker": "o", "label": "winning ticket"},
    "random_reinit": {
        "color": "#d1662b",
        "marker": "s",
        "linestyle": "--",
        "label": "random reinitialization",
    },
}
"""The style of arms that have a colour of their own; other arms get one of `COLORS`."""

MARKERS = ("o", "^", "D", "v", "P")
"""Markers of arms; when the colours are used up, they come again with the next marker."""

COLORS = ("#7b4ea3", "#009e73", "#c44e7d", "#56b4e9", "#8c6d1f", "#4d4d4d")
"""Colours that colour-blind readers can tell from each other and from those of `STYLES`."""


@dataclass(frozen=True)
class Panel:
    """One of several pictures that are drawn side by side.

    Attributes:
        label: The label of the vertical axis.
        value: A function that returns the value to draw from a run's record.
    """

    label: str
    value: Callable[[Finished], float]


STUDY = (
    Panel("test accuracy at early stop (%)", lambda record: 100 * record.early_stop_test_accuracy),
    Panel("early-stop iteration", lambda record: record.early_stop_iteration),
)


def draw(records: Iterable[Record], path: Path, title: str, tolerance: float) -> None:
    """Draw a study: test accuracy at early stop, and early-stop iteration, against weights remaining.

    Args:
        records: The records of one study.
        path: The PNG file to write.
        title: The title above the pictures.
        tolerance: The tolerance of the matching rule, as a fraction.
    """
    results = Results(records)
    draw_panels(results, STUDY, path, results.matching_round(tolerance), title)


def draw_panels(
    results: Results, panels: Sequence[Panel], path: Path, best: int | None, title: str | None = None
) -> None:
    """Draw pictures side by side: means over replicates, with bars from minimum to maximum.

    Args:
        results: The finished runs.
        panels: The pictures to draw.
        path: The PNG file to write.
        best: The round of the main arm that is marked with a star; None marks no round.
        title: The title above the pictures. Default: none.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    figure = Figure(figsize=(5.5 * len(panels), 4.7), layout="constrained")
    every_axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    looks = iter([(color, marker) for marker in MARKERS * len(results.arms) for color in COLORS])
    styles = {arm: STYLES.get(arm) or _style(results, arm, *next(looks)) for arm in results.arms}
    main = by_density(results, results.main, lambda record: record.density)
    for axes, panel in zip(every_axes, panels, strict=True):
        for arm, style in styles.items():
            _line(axes, by_density(results, arm, panel.value), style)
        points = by_density(results, results.main, panel.value)
        axes.axhline(points[0][1][0], color="0.5", linewidth=1, linestyle=":", label="dense network")
        if best is not None:
            density, (value, *_) = points[best]
            label = f"sparsest matching ticket ({density:.1f}%)"
            axes.plot(density, value, "*", color="#1a8f4c", markersize=16, zorder=5, label=label)
        _axes(axes, panel.label, [density for density, _ in main.values()])
    handles, labels = every_axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False, fontsize=9
    )
    if title:
        figure.suptitle(title, fontsize=11)
    atomic.write(path, lambda file: figure.savefig(file, format="png", dpi=150))


def by_density(
    results: Results, arm: str, value: Callable[[Finished], float]
) -> dict[int, tuple[float, tuple[float, float, float]]]:
    """Return round -> weights remaining in percent, and the mean, minimum and maximum over replicates.

    Args:
        results: The finished runs.
        arm: The arm. One that prunes nothing is at the weights remaining of the main arm's rounds.
        value: A function that returns the value from a run's record.
    """
    densities, values = remaining(results, arm), by_round(results.of_arm(arm), value)
    return {
        round: (densities[round], (mean(replicates), min(replicates), max(replicates)))
        for round, replicates in values.items()
    }


def remaining(results: Results, arm: str) -> dict[int, float]:
    """Return round -> at how many percent of weights remaining an arm is drawn, the mean over replicates.

    Args:
        results: The finished runs.
        arm: The arm. If it prunes nothing, as a dense network of the same cost, it is drawn above the main
            arm's tickets.
    """
    runs = results.of_arm(arm)
    densities = by_round(runs, lambda record: 100 * record.density)
    if arm != results.main and not prunes(runs):
        of_tickets = by_round(results.of_arm(results.main), lambda record: 100 * record.density)
        densities |= {round: of_tickets[round] for round in densities if round in of_tickets}
    return {round: mean(replicates) for round, replicates in densities.items()}


def prunes(runs: Sequence[Finished]) -> bool:
    """Return whether some of the runs have fewer weights than their network."""
    return any(run.weights_remaining < run.weights_total for run in runs)


def _style(results: Results, arm: str, color: str, marker: str) -> dict[str, Any]:
    tickets = {(run.spec.replicate, run.spec.round): run.spec for run in results.of_arm(results.main)}
    control = any(
        (ticket := tickets.get((run.spec.replicate, run.spec.round))) is not None
        and (run.spec.parent, run.spec.pruning) == (ticket.parent, ticket.pruning)
        for run in results.records
        if run.spec.arm == arm and run.spec.round and arm != results.main
    )
    shape = {"marker": marker, "linestyle": "--" if control else "-"}
    name = arm.replace("_", " ")
    label = name if prunes(results.of_arm(arm)) else f"{name} (nothing pruned)"
    return {"color": color, "label": label, **shape}


def _line(axes, points: dict[int, tuple[float, tuple[float, float, float]]], style: dict[str, Any]) -> None:
    densities = [density for density, _ in points.values()]
    means = [mean for _, (mean, _, _) in points.values()]
    bars = (
        [mean - low for _, (mean, low, _) in points.values()],
        [high - mean for _, (mean, _, high) in points.values()],
    )
    axes.errorbar(densities, means, bars, linewidth=1.6, markersize=4.5, capsize=2, elinewidth=1, **style)


def _axes(axes, label: str, densities: list[float]) -> None:
    axes.set_xscale("log")
    axes.invert_xaxis()
    shown = densities[::3] if len(densities) > 8 else densities
    axes.set_xticks(shown, [f"{density:.1f}".removesuffix(".0") for density in shown])
    axes.minorticks_off()
    axes.set_xlabel("weights remaining (%)")
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
