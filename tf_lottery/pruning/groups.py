"""The groups that a pattern divides a network's kernels into: counted, scored and pruned."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.criteria import DRAWING
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.patterns import PATTERNS, SINGLE, Pattern, pattern
from tf_lottery.pruning.scopes import Kept, kept
from tf_lottery.pruning.select import keep

GROUPED_SCOPES = ("layer", "global")
"""The scopes that groups of weights may have. The others distribute single weights."""


@dataclass(frozen=True)
class Groups:
    """A network's kernels, divided into groups of weights that are pruned together.

    Attributes:
        pattern: The pattern.
        shapes: Kernel path -> shape, in the order of the network.
        rates: Kernel path -> fraction of the remaining groups that is pruned each round.
        unit_axes: Kernel path -> how many of its last axes number the layer's units. Kernels whose rate is 0
            need no entry. `single` needs none.
    """

    pattern: Pattern
    shapes: Mapping[str, tuple[int, ...]]
    rates: Mapping[str, float]
    unit_axes: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def _numbers(self) -> Masks:
        """Kernel path -> the group of each weight, of kernels whose rate isn't 0."""
        if self.pattern.kind == SINGLE:
            return {}
        divide = PATTERNS[self.pattern.kind]
        return {
            path: divide(shape, self.unit_axes[path], self.pattern.sizes)
            for path, shape in self.shapes.items()
            if self.rates[path] > 0
        }

    @cached_property
    def sizes(self) -> dict[str, np.ndarray]:
        """Kernel path -> number of weights of each group, of kernels that are divided into groups."""
        return {path: np.bincount(numbers.ravel()) for path, numbers in self._numbers.items()}

    def full(self) -> dict[str, int]:
        """Return kernel path -> number of groups before any pruning; without groups, of weights."""
        return {p: len(self.sizes[p]) if p in self.sizes else math.prod(s) for p, s in self.shapes.items()}

    def remaining(self, masks: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Return kernel path -> number of groups of which a weight remains; without groups, of weights."""
        return {path: int(np.count_nonzero(mask)) for path, mask in self._by_group(masks).items()}

    def kept(
        self, masks: Mapping[str, np.ndarray], scope: str, rounds: int = 1, counted: str | None = None
    ) -> Kept:
        """Return how many groups stay in which layers: with N:M, how many weights.

        Args:
            masks: Kernel path -> current mask.
            scope: The scope: how the groups are distributed over layers.
            rounds: As in `scopes.kept`.
            counted: As in `scopes.kept`.

        Raises:
            LotteryError: As `scopes.kept` does, or if the scope distributes single weights only.
        """
        if self.pattern.is_whole:
            return self.kept_of(self.remaining(masks), scope, rounds, counted)
        most = self.pattern.sizes[0]
        alive = {path: np.bincount(n[masks[path]].ravel()) for path, n in self._numbers.items()}
        return {(path,): int(np.minimum(counts, most).sum()) for path, counts in alive.items()}

    def kept_of(
        self, remaining: Mapping[str, int], scope: str, rounds: int = 1, counted: str | None = None
    ) -> Kept:
        """Return what `kept` does, of so many remaining groups. It isn't for N:M."""
        if self.pattern.kind != SINGLE:
            check_grouped_scope(scope)
        return kept(self.shapes, remaining, self.rates, scope, rounds, counted)

    def fewest(self, counts: Kept) -> int:
        """Return how many weights remain at least, if so many groups stay."""
        left = {path: math.prod(shape) for path, shape in self.shapes.items()}
        total = 0
        for paths, count in counts.items():
            sizes = [self.sizes[path] for path in paths if path in self.sizes]
            total += int(np.sort(np.concatenate(sizes))[:count].sum()) if sizes else count
            for path in paths:
                del left[path]
        return total + sum(left.values())

    def prune(
        self,
        scores: Mapping[str, np.ndarray],
        masks: Mapping[str, np.ndarray],
        counts: Kept,
        min_density: float = 0.0,
        criterion: str = "magnitude",
    ) -> Masks:
        """Keep so many groups of weights, those with the highest scores.

        Args:
            scores: Kernel path -> scores of the weights, in the kernel's shape.
            masks: Kernel path -> current mask.
            counts: What `kept` returns.
            min_density: Fraction of each layer's groups that is always kept.
            criterion: The criterion that the scores come from.

        Returns:
            New masks, subsets of the old ones. Among equal scores the lower index is pruned first.

        Raises:
            LotteryError: As `keep` does.
        """
        if self.pattern.kind == SINGLE:
            return keep(scores, masks, counts, min_density)
        if not self.pattern.is_whole:
            keep(scores, masks, {})  # checks that scores are finite
            return dict(masks) | {path: self._best(path, scores[path], masks[path]) for path in self._numbers}
        by_group, drawn = self._by_group(masks), criterion in DRAWING
        pooled = {
            path: self._pooled(path, score, masks[path], drawn) if path in self._numbers else score
            for path, score in scores.items()
        }
        return self._spread(masks, keep(pooled, by_group, counts, min_density, self.pattern.noun))

    def shuffled(self, masks: Mapping[str, np.ndarray], generator: np.random.Generator) -> Masks:
        """Shuffle which groups of each layer remain, those of equal size among themselves.

        Raises:
            LotteryError: With N:M, whose groups all keep as many weights.
        """
        if not self.pattern.is_whole:
            raise LotteryError(f"Masks of pattern {_text(self.pattern)} can't be shuffled by groups.")
        by_group = self._by_group(masks)
        for path, sizes in self.sizes.items():
            for size in np.unique(sizes):
                alike = np.flatnonzero(sizes == size)
                by_group[path][alike] = by_group[path][generator.permutation(alike)]
        return self._spread(dict.fromkeys(masks, True), by_group)

    def _by_group(self, masks: Mapping[str, np.ndarray]) -> Masks:
        """Return path -> whether a weight remains, by group; masks as they are where there are no groups."""
        result = dict(masks)
        for path, numbers in self._numbers.items():
            result[path] = np.bincount(numbers[masks[path]].ravel(), minlength=len(self.sizes[path])) > 0
        return result

    def _spread(self, masks: Mapping[str, np.ndarray], by_group: Masks) -> Masks:
        """Return masks whose groups remain as `by_group` says."""
        return by_group | {path: masks[path] & by_group[path][n] for path, n in self._numbers.items()}

    def _pooled(self, path: str, scores: np.ndarray, mask: np.ndarray, drawn: bool) -> np.ndarray:
        """Return a score for each group: the mean of its weights' scores, where pruned ones count as 0.

        A mean of draws would be nearer to the middle the larger the group is, so of a criterion that draws it
        is the first weight's.
        """
        numbers = self._numbers[path].ravel()
        if drawn:
            return scores.ravel()[np.unique(numbers, return_index=True)[1]]
        remaining = np.where(mask, scores, 0).ravel().astype(np.float64)
        return np.bincount(numbers, weights=remaining) / self.sizes[path]

    def _best(self, path: str, scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the mask of the N weights of each group that have the highest scores."""
        alive = np.flatnonzero(mask)
        numbers = self._numbers[path].ravel()[alive]
        order = np.lexsort((scores.ravel()[alive], numbers))  # stable: ties by index
        ends = np.searchsorted(numbers[order], numbers[order], side="right")
        best = np.zeros(mask.size, bool)
        best[alive[order[ends - np.arange(len(alive)) <= self.pattern.sizes[0]]]] = True
        return best.reshape(mask.shape)


def groups(
    text: str,
    shapes: Mapping[str, tuple[int, ...]],
    rates: Mapping[str, float],
    unit_axes: Mapping[str, int],
) -> Groups:
    """Return the groups that a pattern, given as text, divides kernels into: see `Groups`."""
    return Groups(pattern(text), shapes, rates, unit_axes)


def check_grouped_scope(scope: str, where: str = "scope") -> None:
    """Check that a scope takes groups of weights.

    Raises:
        LotteryError: If it doesn't.
    """
    if scope not in GROUPED_SCOPES:
        raise LotteryError(
            f"Expected {where} of {', '.join(GROUPED_SCOPES)}, since the others distribute single weights. "
            f"Received: {scope!r}"
        )


def check_fixed(
    pattern: Pattern, rate: float, layer_rates: Collection[float], scope: str, min_density: float, where: str
) -> None:
    """Check that settings of pruning don't contradict the density that N:M fixes.

    Args:
        pattern: The pattern. Nothing is checked of the others.
        rate: The rate.
        layer_rates: The layers' own rates.
        scope: The scope.
        min_density: The least density of a layer.
        where: What stands before the names of the settings in the message, such as `pruning.`.

    Raises:
        LotteryError: If they do.
    """
    if pattern.is_whole:
        return
    text, fixed = _text(pattern), 1 - pattern.density
    if any(own and abs(own - fixed) > 1e-3 for own in (rate, *layer_rates)):
        received = ", ".join(f"{own:g}" for own in dict.fromkeys((rate, *layer_rates)))
        raise LotteryError(
            f"Expected {where}rate {fixed:.4g} with pattern {text}, which fixes the density, and layer_rates "
            f"of 0 only. Received: {received}"
        )
    if scope != "layer" or min_density:
        raise LotteryError(
            f"Expected {where}scope 'layer' and min_density 0 with pattern {text}, which fixes each layer's "
            f"density. Received: {scope!r} and {min_density:g}"
        )


def _text(pattern: Pattern) -> str:
    return ":".join(str(size) for size in pattern.sizes)
