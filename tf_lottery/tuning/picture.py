"""The picture of a tuning: what candidates came to against what that cost, coloured by their settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_lottery import atomic
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
    tried = [each for each in shown if each.candidate.values]
    numbers = _numbers([each.candidate.values[name] for each in tried])
    with_ticket = [each.outcome.ticket is not None for each in tried]
    colours = {"cmap": "viridis", "vmin": min(numbers, default=0), "vmax": max(numbers, default=1)}
    drawn = None
    for has, style in ((True, {"marker": "o"}), (False, {"marker": "x", "alpha": 0.6})):
        rows = [(e, n) for e, n, ticket in zip(tried, numbers, with_ticket, strict=True) if ticket is has]
        if rows:
            points = axes.scatter(
                [each.outcome.cost for each, _ in rows],
                [_percent(each.outcome.value) for each, _ in rows],
                c=[number for _, number in rows],
                s=46,
                zorder=3,
                **style,
                **colours,
            )
            drawn = points if drawn is None or has else drawn
    _own(axes, tuned)
    _front(axes, tuned)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes, label=name)
        _label(bar, [each.candidate.values[name] for each in tried], numbers)
    axes.set_xscale("log")
    axes.set_xlabel(_COST.get(tune.cost or "steps", "cost"))
    if tune.at_density is None:
        axes.set_yscale("log")
        axes.set_ylabel("weights remaining at which tickets cease to match (%)")
    else:
        axes.set_ylabel(f"validation accuracy at {100 * tune.at_density:g}% of the weights (%)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _own(axes: Any, tuned: Tuned) -> None:
    own = tuned.tried[0]
    if own.outcome and own.outcome.cost is not None:
        point = own.outcome.cost, _percent(own.outcome.value)
        axes.plot(*point, "s", color="#d1662b", markersize=9, zorder=4, label="the study's own setting")
    best = tuned.best
    if best is not None and best is not own and best.outcome and best.outcome.cost is not None:
        point = best.outcome.cost, _percent(best.outcome.value)
        axes.plot(*point, "*", color="#1a8f4c", markersize=17, zorder=5, label="best candidate")


def _front(axes: Any, tuned: Tuned) -> None:
    """Draw the front as steps: at this cost, nothing better was found."""
    entries = sorted((cost, loss) for loss, cost, _, _ in tuned.front.entries if cost)
    if entries:
        at = tuned.tuning.tune.at_density
        values = [_percent(loss if at is None else 1 - loss) for _, loss in entries]
        costs = [cost for cost, _ in entries]
        axes.step(costs, values, where="post", color="0.45", linewidth=1.2, label="front of all tickets")


def _numbers(values: Sequence[Any]) -> list[float]:
    """Return numbers that colours can stand for: steps without their unit, texts by their order."""
    if all(isinstance(each, int | float) for each in values):
        return [float(each) for each in values]
    if all(isinstance(each, str) and each[:-2].isdecimal() for each in values):
        return [float(each[:-2]) for each in values]
    order = sorted({str(each) for each in values})
    return [float(order.index(str(each))) for each in values]


def _label(bar: Any, values: Sequence[Any], numbers: Sequence[float]) -> None:
    labels = dict(zip(numbers, map(str, values), strict=True))
    if len(labels) <= 8:
        bar.set_ticks(list(labels), labels=list(labels.values()))


def _percent(value: float) -> float:
    return 100 * value
