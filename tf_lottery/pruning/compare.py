"""Two masks side by side: do they keep the same weights, and more than chance would?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """How far two masks of equal shape agree.

    Attributes:
        size: number of weights.
        first: kept by the first.
        second: kept by the second.
        both: kept by both.
        chance: what `both` would be on average if each kept as many at random.
    """

    size: int
    first: int
    second: int
    both: int
    chance: float

    @property
    def jaccard(self) -> float:
        """Kept by both, of those kept by either."""
        either = self.first + self.second - self.both
        return self.both / either if either else 1.0

    @property
    def distance(self) -> float:
        """Fraction of positions that differ (normalized Hamming distance; You et al. 2020)."""
        return (self.first + self.second - 2 * self.both) / self.size if self.size else 0.0


@dataclass(frozen=True)
class Comparison:
    """Two tickets side by side.

    Attributes:
        layers: kernel path -> overlap.
        total: of all kernels; chance is taken layer by layer.
        same_weights: whether both start from the same weights, to the last bit.
    """

    layers: dict[str, Overlap]
    total: Overlap
    same_weights: bool

    def __str__(self) -> str:
        """Return a table."""
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
    """Compare masks of the same paths and shapes."""
    layers = {path: _overlap(first[path], second[path]) for path in first}
    sums = (
        sum(getattr(o, part) for o in layers.values())
        for part in ("size", "first", "second", "both", "chance")
    )
    return Comparison(layers, Overlap(*sums), same_weights)


def _overlap(first: np.ndarray, second: np.ndarray) -> Overlap:
    counts = (int(np.count_nonzero(mask)) for mask in (first, second, first & second))
    kept, other, both = counts
    return Overlap(first.size, kept, other, both, kept * other / first.size if first.size else 0.0)
