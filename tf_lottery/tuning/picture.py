"""The picture of a tuning: what candidates came to against what that cost, coloured by their settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tf_lottery import atomic
from tf_lottery.config_tune import RangeConfig, TuneConfig
from tf_lottery.tuning.tuned import Tried, Tuned

MOST = 4
"""The most settings that a picture has a panel for; further ones are in the table."""

_COST = {"steps": "training steps to find and train the ticket", "flops": "FLOPs", "seconds": "seconds"}


def draw_front(tuned: Tuned, path: Path) -> None:
    """Draw density (or accuracy) against cost: a panel for each setting, by which points are coloured.

    Args:
        tuned: What the tuning came to.
        path: The PNG file to write.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    names = list(tuned.tuning.tune.ranges)[:MOST]
    figure = Figure(figsize=(6.0 * len(names), 4.8), layout="constrained")
    shown = [each for each in tuned.tried if each.outcome and each.outcome.cost is not None]
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _panel(figure, axes, tuned, shown, name)
    figure.suptitle(f"{tuned.tuning.study.name}: {len(tuned.tried)} candidates", fontsize=11)
    atomic.write(path, lambda file: figure.savefig(file, format="png", dpi=150))


def _panel(figure: Any, axes: Any, tuned: Tuned, shown: Sequence[Tried], name: str) -> None:
    tune = tuned.tuning.tune
    values, tried = tune.ranges[name], [each for each in shown if each.candidate.values]
    colours = {"cmap": "viridis", "zorder": 3, "s": 46} | _limits(values)
    drawn = None
    for has, style in ((False, {"marker": "x", "alpha": 0.6}), (True, {"marker": "o"})):
        rows = [each for each in tried if (each.outcome.ticket is not None) is has]
        if rows:
            label = None if has else "doesn't match at this density"
            drawn = axes.scatter(
                [each.outcome.cost for each in rows],
                [_height(each, tune.at_density is not None) for each in rows],
                c=[_number(each.candidate.values[name], values) for each in rows],
                label=label,
                **style,
                **colours,
            )
    _front(axes, tuned)
    _named(axes, tuned)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes, label=name)
        if isinstance(values, list):
            bar.set_ticks(range(len(values)), labels=[str(each) for each in values])
    _axes(axes, tune)


def _axes(axes: Any, tune: TuneConfig) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(_COST.get(tune.cost or "steps", "cost"))
    scaled = [axes.xaxis]
    if tune.at_density is None:
        axes.set_yscale("log")
        axes.set_ylabel("weights of the sparsest matching ticket (%)")
        scaled.append(axes.yaxis)
    else:
        axes.set_ylabel(f"validation accuracy at {100 * tune.at_density:g}% of the weights (%)")
    for axis in scaled:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _named(axes: Any, tuned: Tuned) -> None:
    """Mark the study's own setting and the best candidate."""
    own, best, at_density = tuned.tried[0], tuned.best, tuned.tuning.tune.at_density is not None
    marks = [(own, "s", "#d1662b", 10, "the study's own setting")]
    if best is not None and best is not own:
        marks.append((best, "*", "#1a8f4c", 17, f"best: {best.candidate.describe()}"))
    for tried, marker, colour, size, label in marks:
        if tried.outcome and tried.outcome.cost is not None:
            point = tried.outcome.cost, _height(tried, at_density)
            axes.plot(*point, marker, color=colour, markersize=size, zorder=4, label=label)


def _front(axes: Any, tuned: Tuned) -> None:
    """Draw the front as steps: at this cost, nothing better was found."""
    entries = sorted((cost, loss) for loss, cost, _, _ in tuned.front.entries if cost)
    if entries:
        at = tuned.tuning.tune.at_density
        values = [100 * (loss if at is None else 1 - loss) for _, loss in entries]
        costs = [cost for cost, _ in entries]
        axes.step(costs, values, where="post", color="0.45", linewidth=1.2, label="front of all tickets")


def _height(tried: Tried, at_density: bool) -> float:
    """Return where a candidate stands, in percent: the density of its ticket or, if it has none, of the first
    one that doesn't match; or the accuracy."""
    result = tried.outcome
    point = result.ticket or result.failing
    return 100 * (point.density if point and not at_density else result.value)


def _limits(values: list[Any] | RangeConfig) -> dict[str, float]:
    if isinstance(values, list):
        return {"vmin": 0, "vmax": max(1, len(values) - 1)}
    least, most, _ = values.bounds
    return {"vmin": least, "vmax": most}


def _number(value: Any, values: list[Any] | RangeConfig) -> float:
    """Return the number that a value's colour stands for: its place in a list, or itself without its unit."""
    if isinstance(values, list):
        return float(values.index(value))
    return float(value[:-2]) if isinstance(value, str) else float(value)
