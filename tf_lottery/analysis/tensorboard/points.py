"""The papers' figures as points of curves: mean, minimum and maximum over replicates, by arm.

TensorBoard's steps are whole numbers, so weights remaining are counted in parts of a percent.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tf_lottery.analysis.plots import remaining
from tf_lottery.config import DataConfig
from tf_lottery.method.matching import by_round
from tf_lottery.method.results import Results
from tf_lottery.method.spec import LayerCount, Record

UNITS = {10: "tenths", 100: "hundredths", 1000: "thousandths", 10000: "ten thousandths"}
"""How many steps are a percent of weights remaining -> what one step is called, the coarsest first."""

Band = tuple[float, float, float]
"""Mean, minimum and maximum over replicates."""
Points = dict[int, Band]
"""Step -> band, by rising steps."""


@dataclass(frozen=True)
class Chart:
    """A chart, with a line for each run of TensorBoard that has its tags.

    Attributes:
        tag: The tags' common beginning; `/mean`, `/min` and `/max` follow.
        title: The chart's title.
        category: The title of the group of charts that it stands in.
        closed: Whether the group is closed at first.
    """

    tag: str
    title: str
    category: str
    closed: bool = False


MEASURES: dict[str, tuple[str, Callable[[Record], float]]] = {
    "accuracy": ("Test accuracy at early stop (%)", lambda record: 100 * record.early_stop_test_accuracy),
    "early_stop": ("Early-stop iteration", lambda record: record.early_stop_iteration),
}
"""What the papers' figures show -> its name, and how it is read from a record."""


def band(values: Iterable[float]) -> Band:
    """Return mean, minimum and maximum; each is NaN where a value isn't finite.

    Args:
        values: A value for each replicate.
    """
    values = list(values)
    if not all(map(math.isfinite, values)):
        return (math.nan,) * 3
    return mean(values), min(values), max(values)


def data_names(results: Results[Record]) -> dict[str, str]:
    """Return arm -> the name of the data that it is tested on; no other data has the same name.

    Args:
        results: The study's finished runs.
    """
    data = {record.spec.arm: record.spec.data for record in results.records}
    named = {(each.name, each.digest) for each in data.values()}
    doubled = {name for name, count in Counter(name for name, _ in named).items() if count > 1}
    return {
        arm: _name(each, each.name in doubled or bool(each.path or each.load)) for arm, each in data.items()
    }


def _name(data: DataConfig, whole: bool) -> str:
    """Return the name of data, with the first digits of its digest where `whole`."""
    place = Path(data.path).stem if data.path else (data.load or data.name).rpartition(":")[2]
    return f"{place} {(data.digest or 'unknown')[:8]}" if whole else place


def unit(results: Results[Record]) -> int:
    """Return how many steps a percent of weights remaining takes, so that an arm's rounds have their own.

    Where not even the finest unit tells all of them apart, as where nothing is pruned, the coarsest one that
    does as well is taken.

    Args:
        results: The study's finished runs.
    """
    densities = [remaining(results, arm).values() for arm in results.arms]
    apart = {per: sum(len({round(per * each) for each in line}) for line in densities) for per in UNITS}
    return next(per for per in UNITS if apart[per] == max(apart.values()))


def lines(results: Results[Record], arm: str, data: str, per: int, study: str) -> dict[Chart, Points]:
    """Return the points of an arm in every chart whose axis are the rounds, or the weights that remain.

    Where two rounds have the same step, the later one's point is drawn.

    Args:
        results: The study's finished runs.
        arm: The arm. Its line begins at the dense network that it is compared with.
        data: The name of its data.
        per: How many steps a percent of weights remaining takes.
        study: The study's name. Studies that are shown together share their charts, but for layers'.
    """
    runs, places = results.of_arm(arm), remaining(results, arm)
    found: dict[Chart, Points] = {}
    for name, (title, value) in MEASURES.items():
        rounds = _by_round(runs, value)
        by_density = {round(per * places[number]): found for number, found in rounds.items()}
        axis = f"{title}, by weights remaining in {UNITS[per]} of a percent (dense: {100 * per:,})"
        category = f"Winning tickets on {data}"
        found[Chart(f"{name}_by_{UNITS[per].replace(' ', '_')}_of_percent, {data}", axis, category)] = dict(
            sorted(by_density.items())
        )
        found[Chart(f"{name}_by_round, {data}", f"{title}, by round", category)] = rounds
    whole = Chart(f"density_by_round, {data}", "Weights remaining (%), by round", f"Density on {data}")
    found[whole] = _by_round(runs, lambda record: 100 * record.density)
    for path in next(record for record in runs if record.spec.arm == arm).layers:
        of_layer = [record for record in runs if path in record.layers]
        title, category = (
            f"{path}: weights remaining (%), by round",
            f"Density of each layer, {study} on {data}",
        )
        found[Chart(f"density_by_round, {data}, {path}", title, category, closed=True)] = _by_round(
            of_layer, lambda record, path=path: _percent(record.layers[path])
        )
    return found


def _by_round(runs: list[Record], value: Callable[[Record], float]) -> Points:
    return {round: band(values) for round, values in by_round(runs, value).items()}


def _percent(layer: LayerCount) -> float:
    return 100 * layer.remaining / layer.total
