"""Compares two masks: do they keep the same weights, and more of them than chance would?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """How far two masks of equal shape agree.

    Attributes:
        size: Number of weights.
        first: Number of weights that the first mask keeps.
        second: Number of weights that the second mask keeps.
        both: Number of weights that both masks keep.
        chance: What `both` would be on average if each mask kept as many weights at random.
    """

    size: int
    first: int
    second: int
    both: int
    chance: float

    @property
    def jaccard(self) -> float:
        """The Jaccard index: weights that both masks keep, as a fraction of those that either keeps."""
        either = self.first + self.second - self.both
        return self.both / either if either else 1.0

    @property
    def distance(self) -> float:
        """The fraction of positions that differ (normalized Hamming distance; You et al. 2020)."""
        return (self.first + self.second - 2 * self.both) / self.size if self.size else 0.0


@dataclass(frozen=True)
class Comparison:
    """The comparison of two tickets.

    Attributes:
        layers: Kernel path -> overlap of that kernel's masks.
        total: Overlap over all kernels; its `chance` is the sum over the layers.
        same_weights: Whether the weights that both keep start from the same values, bit for bit.
    """

    layers: dict[str, Overlap]
    total: Overlap
    same_weights: bool

    def __str__(self) -> str:
        """Return the comparison as a table with one line per kernel."""
        width = max(len("kernel"), *(len(path) for path in self.layers), len("all"))
        lines = [f"{'kernel'.ljust(width)}   first  second    both  by chance  Jaccard  distance"]
        for path, o in (*self.layers.items(), ("all", self.total)):
            shares = (kept / max(o.size, 1) for kept in (o.first, o.second, o.both, o.chance))
            first, second, both, chance = (f"{share:.1%}" for share in shares)
            lines.append(
                f"{path.ljust(width)}  {first:>6}  {second:>6}  {both:>6}  {chance:>9}  {o.jaccard:>7.3f}  "
                f"{o.distance:>8.3f}"
            )
        start = "the same weights" if self.same_weights else "different weights"
        return "\n".join([*lines, f"They start from {start}."])


def compare_masks(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], same_weights: bool
) -> Comparison:
    """Compare two sets of masks with the same paths and shapes."""
    layers = {path: _overlap(first[path], second[path]) for path in first}
    sums = (
        sum(getattr(o, part) for o in layers.values())
        for part in ("size", "first", "second", "both", "chance")
    )
    return Comparison(layers, Overlap(*sums), same_weights)


def _overlap(first: np.ndarray, second: np.ndarray) -> Overlap:
    kept, kept_second, both = (int(np.count_nonzero(mask)) for mask in (first, second, first & second))
    chance = kept * kept_second / first.size if first.size else 0.0
    return Overlap(first.size, kept, kept_second, both, chance)
