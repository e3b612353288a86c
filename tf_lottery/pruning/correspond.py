"""Matches the arrays of one network with those of another, by path."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Correspondence:
    """Which arrays of two networks correspond, and which don't.

    Attributes:
        pairs: Path in the first network -> path in the second, for arrays of equal shape, in the
            order of the first network.
        missing: Paths of the first network that the second lacks.
        foreign: Paths of the second network that the first lacks.
        misshapen: Path in the first network -> (its shape, the shape in the second), where the two differ.
    """

    pairs: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    misshapen: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every array of both networks has a counterpart."""
        return not (self.missing or self.foreign or self.misshapen)

    def differences(self, limit: int = 4) -> str:
        """Describe what doesn't correspond, with at most `limit` paths of each kind."""
        shapes = [f"{path} has {second}, not {first}" for path, (first, second) in self.misshapen.items()]
        kinds = (("missing", self.missing), ("unexpected", self.foreign), ("different shapes", shapes))
        return "; ".join(
            f"{kind}: {', '.join(paths[:limit])}{', ...' if len(paths) > limit else ''}"
            for kind, paths in kinds
            if paths
        )


def correspond(first: Shapes, second: Shapes) -> Correspondence:
    """Pair the arrays of two networks by path.

    Keras numbers layers by what was built before them (`dense`, `dense_1`). So where the paths differ,
    numbers at the ends of names are ignored, and arrays whose names are then equal are paired in order.

    Args:
        first: Path -> shape, for the arrays of one network.
        second: Path -> shape, for the arrays of the other network.
    """
    matches = {path: path for path in first if path in second}
    if len(matches) < len(first) or len(matches) < len(second):
        groups = _by_name(first), _by_name(second)
        matches = {}
        for name, paths in groups[0].items():
            others = groups[1].get(name, [])
            if len(others) == len(paths):
                matches |= dict(zip(paths, others, strict=True))
            else:
                matches |= {path: path for path in paths if path in others}
        matches = {path: matches[path] for path in first if path in matches}
    pairs = {path: other for path, other in matches.items() if tuple(first[path]) == tuple(second[other])}
    matched = set(matches.values())
    return Correspondence(
        pairs,
        tuple(path for path in first if path not in matches),
        tuple(path for path in second if path not in matched),
        {p: (tuple(first[p]), tuple(second[o])) for p, o in matches.items() if p not in pairs},
    )


def _by_name(shapes: Shapes) -> dict[str, list[str]]:
    groups = defaultdict(list)
    for path in shapes:
        groups["/".join(re.sub(r"_\d+$", "", part) for part in path.split("/"))].append(path)
    return groups
