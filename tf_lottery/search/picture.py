"""The picture of a search: how good, and how soon, against weights remaining."""

from collections import defaultdict
from pathlib import Path
from statistics import mean

from tf_lottery import atomic
from tf_lottery.analysis.plots import STYLES
from tf_lottery.search.record import FitRecord


def draw(records: list[FitRecord], path: Path, best: int | None) -> Path:
    """Draw a search.

    Args:
        records: of all runs.
        path: of the PNG.
        best: the round that gets the star, None for none.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    arms = defaultdict(lambda: defaultdict(list))
    for record in records:
        arms[record.spec.arm][100 * record.density].append(record)
    figure = Figure(figsize=(11, 4.7), layout="constrained")
    panels = zip(figure.subplots(1, 2), ("value", "epoch"), strict=True)
    monitor = records[0].monitor
    for axes, what in panels:
        for arm, points in arms.items():
            values = [mean(getattr(record, what) for record in group) for group in points.values()]
            axes.plot(list(points), values, linewidth=1.6, markersize=4.5, **STYLES[arm])
        dense = getattr(records[0], what)
        axes.axhline(dense, color="0.5", linewidth=1, linestyle=":", label="dense network")
        for record in records:
            if best is not None and record.spec.arm == "ticket" and record.spec.round == best:
                label = f"sparsest matching ticket ({record.density:.1%})"
                x, y = 100 * record.density, getattr(record, what)
                axes.plot(x, y, "*", color="#1a8f4c", markersize=16, zorder=5, label=label)
        axes.set_xscale("log")
        axes.invert_xaxis()
        densities = list(arms["ticket"])
        shown = densities[::3] if len(densities) > 8 else densities
        axes.set_xticks(shown, [f"{density:.3g}" for density in shown])
        axes.minorticks_off()
        axes.set_xlabel("weights remaining (%)")
        axes.set_ylabel(f"best {monitor}" if what == "value" else f"epoch of the best {monitor}")
        axes.grid(alpha=0.25)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    atomic.write(path, lambda file: figure.savefig(file, format="png", dpi=150))
    return path
