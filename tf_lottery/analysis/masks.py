"""What the masks of a study have in common, and where its weights remain.

Two masks that keep the same weights more often than chance found the same thing. Chance is what two random
masks with these layers' densities have in common, so it is no finding that both keep a small layer whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

import numpy as np

from tf_lottery.method.spec import Record
from tf_lottery.pruning.compare import Overlap, compare_masks
from tf_lottery.pruning.masks import Masks
from tf_lottery.store.store import Store


@dataclass(frozen=True)
class Layer:
    """How many weights a layer keeps in an arm's round: means over replicates and trials.

    Attributes:
        arm: The arm.
        round: The round.
        path: The kernel's path; `all` stands for all prunable weights.
        total: The number of weights.
        density: The fraction that remain.
        effective_density: The fraction that remain and lie on a path from an input to an output; None where
            that isn't known.
    """

    arm: str
    round: int
    path: str
    total: int
    density: float
    effective_density: float | None


@dataclass(frozen=True)
class Shared:
    """What two masks, or several pairs of them, have in common.

    Attributes:
        what: What is compared: `replicates of ticket`, `ticket and shuffled`.
        round: The round.
        pairs: The number of pairs.
        density: The fraction of weights that remain, the mean of all masks.
        overlap: The fraction of the sparser mask's weights that the other one keeps, too; the mean of pairs.
        chance: What `overlap` would be for random masks with the same layers' densities.
        distance: The fraction of all positions in which the masks differ (You et al. 2020).
    """

    what: str
    round: int
    pairs: int
    density: float
    overlap: float
    chance: float
    distance: float


@dataclass(frozen=True)
class Signs:
    """How many weights that remain kept the sign that they started with (Zhou et al. 2019).

    Attributes:
        arm: The arm.
        round: The round.
        runs: The number of runs whose last weights were kept.
        agreement: The fraction of remaining weights that end with the sign of their initial value.
    """

    arm: str
    round: int
    runs: int
    agreement: float


def layers(records: Iterable[Record]) -> list[Layer]:
    """Return each layer's densities, by arm, round and layer, from the records alone.

    Args:
        records: The study's finished runs, as `collect` returns them.
    """
    found: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in _pruned(records):
        found[record.spec.arm, record.spec.round].append(record)
    return [layer for place, alike in found.items() for layer in _layers(*place, alike)]


def _pruned(records: Iterable[Record]) -> list[Record]:
    return [r for r in records if r.spec.round > 0 and r.weights_remaining < r.weights_total]


def _layers(arm: str, round: int, records: list[Record]) -> Iterable[Layer]:
    def effective(read: Callable[[Record], int | None], total: int) -> float | None:
        counts = [read(record) for record in records]
        return None if None in counts else mean(counts) / total

    for path, count in records[0].layers.items():
        remaining = mean(record.layers[path].remaining for record in records)
        part = effective(lambda record, path=path: (record.effective or {}).get(path), count.total)
        yield Layer(arm, round, path, count.total, remaining / count.total, part)
    total = records[0].weights_total
    remaining = mean(record.weights_remaining for record in records)
    yield Layer(
        arm, round, "all", total, remaining / total, effective(lambda r: r.effective_remaining, total)
    )


def shared(
    records: Iterable[Record], store: Store, advanced: Callable[[int], None] = lambda _: None
) -> list[Shared]:
    """Return what masks have in common: between the replicates of an arm, and between an arm and the others.

    Arms are compared by replicate and round, first trials only.

    Args:
        records: The study's finished runs, as `collect` returns them.
        store: The store that holds their masks.
        advanced: A function that hears how many comparisons are made so far.

    Raises:
        DamagedError: If a mask fails its checksum.
    """
    pruned = [record for record in _pruned(records) if not record.spec.trial]
    runs = {(r.spec.arm, r.spec.round, r.spec.replicate): r for r in pruned}
    arms, rounds = list(dict.fromkeys(arm for arm, _, _ in runs)), sorted({at for _, at, _ in runs})
    replicates = sorted({replicate for _, _, replicate in runs})
    rows, made = [], 0
    for at in rounds:
        masks = {
            (arm, replicate): store.masks(runs[arm, at, replicate].key)
            for arm in arms
            for replicate in replicates
            if (arm, at, replicate) in runs
        }
        two = list(combinations(replicates, 2))
        alike = [(f"replicates of {arm}", [((arm, a), (arm, b)) for a, b in two]) for arm in arms]
        across = [
            (f"{first} and {second}", [((first, each), (second, each)) for each in replicates])
            for first, second in combinations(arms, 2)
        ]
        for what, pairs in (*alike, *across):
            both = [(masks[a], masks[b]) for a, b in pairs if a in masks and b in masks]
            known = [pair for pair in both if _shapes(pair[0]) == _shapes(pair[1])]
            if known:
                rows.append(_shared(what, at, known))
            made += 1
            advanced(made)
    return rows


def _shapes(masks: Masks) -> dict[str, tuple[int, ...]]:
    return {path: mask.shape for path, mask in masks.items()}


def _shared(what: str, round: int, pairs: Sequence[tuple[Masks, Masks]]) -> Shared:
    totals = [compare_masks(first, second, same_weights=False).total for first, second in pairs]
    fewer = [max(1, min(total.first, total.second)) for total in totals]

    def average(read: Callable[[Overlap], float]) -> float:
        return mean(read(total) for total in totals)

    return Shared(
        what,
        round,
        len(pairs),
        average(lambda total: (total.first + total.second) / 2 / total.size),
        mean(total.both / least for total, least in zip(totals, fewer, strict=True)),
        mean(total.chance / least for total, least in zip(totals, fewer, strict=True)),
        average(lambda total: total.distance),
    )


def signs(records: Iterable[Record], store: Store) -> list[Signs]:
    """Return how many of the remaining weights end with the sign that they were initialized with.

    Only runs that begin with weights of their replicate's dense run count, and whose last weights were kept.

    Args:
        records: The study's finished runs, as `collect` returns them.
        store: The store that holds their weights.

    Raises:
        DamagedError: If a file fails its checksum.
    """
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for record in records:
        spec = record.spec
        kept = store.paths.run(record.key).weights_last.exists()
        if spec.round > 0 and spec.start == "rewind" and spec.root and kept:
            initial, last = store.rewind_point(spec.root, 0), store.weights(record.key)
            found[spec.arm, spec.round].append(_agreement(store.masks(record.key), initial, last))
    return [Signs(*place, len(values), mean(values)) for place, values in found.items()]


def _agreement(masks: Masks, initial: dict[str, np.ndarray], last: dict[str, np.ndarray]) -> float:
    alike = total = 0
    for path, mask in masks.items():
        name = f"model/{path}"
        alike += int(np.count_nonzero((np.sign(initial[name]) == np.sign(last[name])) & mask))
        total += int(np.count_nonzero(mask))
    return alike / total if total else 1.0
