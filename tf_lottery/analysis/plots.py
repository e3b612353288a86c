"""The paper's two pictures (Frankle & Carbin 2018, Figures 3 and 4)."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tf_lottery import atomic
from tf_lottery.analysis.summary import Spread, Summary, summarize
from tf_lottery.method.matching import matching_round
from tf_lottery.method.spec import Record

STYLES = {
    "ticket": {"color": "#1f5fa8", "marker": "o", "label": "winning ticket"},
    "random_reinit": {
        "color": "#d1662b",
        "marker": "s",
        "linestyle": "--",
        "label": "random reinitialization",
    },
}


def draw(records: Iterable[Record], path: Path, title: str, tolerance: float) -> None:
    """Draw test accuracy at early stop, and early-stop iteration, against weights remaining.

    Means over replicates, with bars from minimum to maximum. The star marks the sparsest
    matching ticket.

    Args:
        records: of one study.
        path: of the PNG.
        title: above the pictures.
        tolerance: of the matching rule, a fraction.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    records = list(records)
    arms = summarize(records)
    figure = Figure(figsize=(11, 4.7), layout="constrained")
    accuracy, iteration = figure.subplots(1, 2)
    panels = (
        (accuracy, "test accuracy at early stop (%)", lambda s: _scaled(s.test_accuracy, 100)),
        (iteration, "early-stop iteration", lambda s: s.iteration),
    )
    best = matching_round(records, tolerance)
    for axes, label, value in panels:
        for arm, rounds in arms.items():
            _line(axes, arm, rounds, value)
        dense = arms["ticket"][0]
        axes.axhline(value(dense).mean, color="0.5", linewidth=1, linestyle=":", label="dense network")
        if best is not None:
            ticket = arms["ticket"][best]
            axes.plot(
                100 * ticket.density,
                value(ticket).mean,
                "*",
                color="#1a8f4c",
                markersize=16,
                zorder=5,
                label=f"sparsest matching ticket ({100 * ticket.density:.1f}%)",
            )
        _axes(axes, label, [100 * s.density for s in arms["ticket"].values()])
    handles, labels = accuracy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    atomic.write(path, lambda file: figure.savefig(file, format="png", dpi=150))


def _line(axes, arm: str, rounds: dict[int, Summary], value: Callable[[Summary], Spread]) -> None:
    spreads = [value(summary) for summary in rounds.values()]
    means = [spread.mean for spread in spreads]
    bars = (
        [spread.mean - spread.low for spread in spreads],
        [spread.high - spread.mean for spread in spreads],
    )
    style = {"linewidth": 1.6, "markersize": 4.5, "label": arm.replace("_", " ")} | STYLES.get(arm, {})
    axes.errorbar([100 * s.density for s in rounds.values()], means, bars, capsize=2, elinewidth=1, **style)


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


def _scaled(spread: Spread, factor: float) -> Spread:
    return Spread(factor * spread.mean, factor * spread.low, factor * spread.high)
