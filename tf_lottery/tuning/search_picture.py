"""The picture of a `LotteryTuner`'s result: what candidates came to, against what that cost."""

from pathlib import Path
from typing import Any

from tf_lottery import atomic


def draw_tuned(tuned: Any, path: Path) -> None:
    """Draw a point for each candidate that has a ticket, with a star at the best.

    Args:
        tuned: The tuning's result, a `TunedSearches`. It has a best candidate.
        path: The PNG file to write.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    tune, ranked = tuned.tune, tuned.ranked
    figure = Figure(figsize=(5.5, 4.2), layout="constrained")
    axes = figure.subplots()
    at_density = tune.at_density is not None

    def place(tried: Any) -> tuple[float, float]:
        value = tried.outcome.value
        height = tuned.value_of(value) if at_density else 100 * value
        return (tried.outcome.cost if tune.cost else tried.number), height

    axes.plot(*zip(*map(place, ranked), strict=True), "o", color="#1f5fa8", label="candidates")
    axes.plot(*place(ranked[0]), "*", color="#1a8f4c", markersize=16, label=f"best: {ranked[0].number}")
    for tried in ranked:
        axes.annotate(str(tried.number), place(tried), xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set_xlabel(f"cost in {tune.cost}" if tune.cost else "candidate")
    matches = "weights down to which tickets match (%)"
    axes.set_ylabel(f"{tuned.monitor} at a density of {tune.at_density:g}" if at_density else matches)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    atomic.write(path, lambda file: figure.savefig(file, format="png", dpi=120))
