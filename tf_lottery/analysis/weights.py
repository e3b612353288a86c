"""How weights are distributed: those that remain, where training starts and ends, and those that are pruned.

The initial weights of winning tickets are bimodal: pruning by magnitude keeps those that are far from zero
(Frankle & Carbin 2018, appendices F.2 and F.3).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import mean

import numpy as np

from tf_lottery.analysis.stored import keeps
from tf_lottery.arrays import Arrays
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.updates import GROWING
from tf_lottery.store.store import Store
from tf_lottery.store.tickets import STARTED_FROM

QUANTILES = {"q01": 0.01, "q25": 0.25, "median": 0.5, "q75": 0.75, "q99": 0.99}
"""The quantiles that are told, interpolated linearly."""
_MODEL = "model/"
_INITIAL = ("initialize", "pretrained")
"""The starts of runs that are no pruned one's: they keep the weights themselves."""
_STAYING = ("rewind", "trained")
"""The starts of runs whose weights go back to those of their replicate's dense network at step 0."""


@dataclass(frozen=True)
class Distribution:
    """The remaining weights of a layer in an arm's round: means over replicates and trials.

    Attributes:
        arm: The arm.
        round: The round; 0 is the dense network.
        path: The kernel's path.
        when: `start`, where the training begins (step 0, or the rewind point), or `end`, after its last step.
        runs: The number of runs.
        count: The number of weights that remain in the end.
        mean: Their mean.
        deviation: Their standard deviation.
        q01: The quantile of 1%.
        q25: The quantile of 25%.
        median: The median.
        q75: The quantile of 75%.
        q99: The quantile of 99%.
        positive: The fraction that is above 0.
        sign_changed: The fraction that has crossed 0 since the start; None for `start`, and where the weights
            that the training starts from aren't kept, since they are drawn anew.
    """

    arm: str
    round: int
    path: str
    when: str
    runs: int
    count: float
    mean: float
    deviation: float
    q01: float
    q25: float
    median: float
    q75: float
    q99: float
    positive: float
    sign_changed: float | None


@dataclass(frozen=True)
class Chosen:
    """The initial values of a layer's kept weights, compared with those of its pruned ones: means over runs.

    They are those of the replicate's dense network at step 0.

    Attributes:
        arm: The arm.
        round: The round.
        path: The kernel's path.
        runs: The number of runs.
        kept: The number of weights that remain.
        pruned: The number of weights that are pruned.
        deviation_ratio: The standard deviation of the kept over that of the pruned ones; 1 by chance. None
            where the latter is 0.
        median_ratio: The median size of the kept over that of the pruned ones; 1 by chance. None likewise.
        smaller_half: The fraction of the kept ones whose size is below the median size of all weights of the
            layer; one half by chance. The nearer it is to 0, the emptier is the middle of two modes.
    """

    arm: str
    round: int
    path: str
    runs: int
    kept: float
    pruned: float
    deviation_ratio: float | None
    median_ratio: float | None
    smaller_half: float


def distributions(
    records: Iterable[Record], store: Store, advanced: Callable[[int], None] = lambda _: None
) -> list[Distribution]:
    """Return how the remaining weights are distributed, by arm, round, layer, and at both ends of training.

    What isn't kept is left out: weights that are drawn anew where training starts, last weights under
    `storage.keep: masks`, and, at the start, those that grew within the training.

    Args:
        records: The finished runs, as `collect` returns them.
        store: The store that holds their weights.
        advanced: A function that hears how many runs have been read.

    Raises:
        DamagedError: If a file fails its checksum.
    """
    found: dict[tuple[str, int, str, str], list[dict[str, float | None]]] = defaultdict(list)
    for number, record in enumerate(records, 1):
        spec = record.spec
        for path, when, figures in _of_run(record, store):
            found[spec.arm, spec.round, path, when].append(figures)
        advanced(number)
    return [Distribution(*place, len(runs), **_means(runs)) for place, runs in found.items()]


def surviving(record: Record, store: Store) -> Iterator[tuple[str, np.ndarray | None, np.ndarray | None]]:
    """Yield each layer's path, and its remaining weights where the run's training starts and where it ends.

    Layers that have none are left out. Weights that aren't on the disk are None.

    Args:
        record: A finished run.
        store: The store that holds its weights.

    Raises:
        DamagedError: If a file fails its checksum.
    """
    masks, started = store.masks(record.key), _started(record, store)
    ended = store.weights(record.key) if keeps(store, record.spec) else None
    for path, mask in masks.items():
        name = _MODEL + path
        if mask.any():
            yield path, *(None if each is None else each[name][mask] for each in (started, ended))


def _of_run(record: Record, store: Store) -> Iterator[tuple[str, str, dict[str, float | None]]]:
    for path, before, after in surviving(record, store):
        if before is not None:
            yield path, "start", _figures(before) | {"sign_changed": None}
        if after is not None:
            changed = None if before is None else float(np.mean(np.sign(before) * np.sign(after) < 0))
            yield path, "end", _figures(after) | {"sign_changed": changed}


def _figures(values: np.ndarray) -> dict[str, float | None]:
    values = values.astype(np.float64)
    cuts = np.quantile(values, list(QUANTILES.values()))
    return {
        "count": values.size,
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        **{name: float(cut) for name, cut in zip(QUANTILES, cuts, strict=True)},
        "positive": float(np.mean(values > 0)),
    }


def _started(record: Record, store: Store) -> Arrays | None:
    """Return the weights that a run's training began with, before masks; None if they aren't on disk."""
    spec = record.spec
    if spec.start in _INITIAL:
        return store.rewind_point(record.key, 0) if "rewind/0it" in record.digests else None
    if _grew(spec) or spec.supermask is not None or spec.start not in STARTED_FROM:
        return None
    if spec.start == "trained" and not keeps(store, store.record(spec.parent).spec):
        return None
    return STARTED_FROM[spec.start](store, record)


def _grew(spec: RunSpec) -> bool:
    """Return whether weights of a run grew within its training, which started at 0.0."""
    return spec.updates is not None and spec.updates.kind in GROWING


def chosen(
    records: Iterable[Record], store: Store, advanced: Callable[[int], None] = lambda _: None
) -> list[Chosen]:
    """Return how initial values of kept weights differ from those of pruned ones, by arm, round and layer.

    Only runs whose masks lie over the weights of their replicate's dense network count, and layers that are
    pruned.

    Args:
        records: The finished runs, as `collect` returns them.
        store: The store that holds their weights.
        advanced: A function that hears how many runs have been read.

    Raises:
        DamagedError: If a file fails its checksum.
    """
    found: dict[tuple[str, int, str], list[dict[str, float | None]]] = defaultdict(list)
    for number, record in enumerate(records, 1):
        spec = record.spec
        if spec.round > 0 and spec.root and spec.start in _STAYING and not _grew(spec):
            initial = store.rewind_point(spec.root, 0)
            for path, figures in _compared(store.masks(record.key), initial):
                found[spec.arm, spec.round, path].append(figures)
        advanced(number)
    return [Chosen(*place, len(runs), **_means(runs)) for place, runs in found.items()]


def _compared(masks: Masks, initial: Arrays) -> Iterator[tuple[str, dict[str, float | None]]]:
    for path, mask in masks.items():
        values = initial[_MODEL + path].astype(np.float64)
        kept, pruned, sizes = values[mask], values[~mask], np.abs(values)
        if not kept.size or not pruned.size:
            continue
        yield (
            path,
            {
                "kept": kept.size,
                "pruned": pruned.size,
                "deviation_ratio": _ratio(kept.std(), pruned.std()),
                "median_ratio": _ratio(np.median(sizes[mask]), np.median(sizes[~mask])),
                "smaller_half": float(np.mean(sizes[mask] < np.median(sizes))),
            },
        )


def _ratio(first: np.floating, second: np.floating) -> float | None:
    return float(first / second) if second > 0 else None


def _means(runs: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each figure; None where a run lacks it."""
    lacking = {name for run in runs for name, value in run.items() if value is None}
    return {name: None if name in lacking else mean(run[name] for run in runs) for name in runs[0]}
