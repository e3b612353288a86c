"""Which arrays of one network are which of another, by path."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Correspondence:
    """What corresponds, and what doesn't.

    Attributes:
        pairs: path of the first -> path of the second, of equal shapes, in the order of the first.
        missing: paths of the first that the second lacks.
        foreign: paths of the second that the first lacks.
        misshapen: path of the first -> (its shape, the second's), where they differ.
    """

    pairs: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    misshapen: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all of both corresponds."""
        return not (self.missing or self.foreign or self.misshapen)

    def differences(self, limit: int = 4) -> str:
        """Return what doesn't correspond, in words, `limit` paths of each kind at most."""
        shapes = [f"{path} {first} is {second} here" for path, (first, second) in self.misshapen.items()]
        kinds = (("not here", self.missing), ("only here", self.foreign), ("other shapes", shapes))
        return "; ".join(
            f"{kind}: {', '.join(paths[:limit])}{', ...' if len(paths) > limit else ''}"
            for kind, paths in kinds
            if paths
        )


def correspond(first: Shapes, second: Shapes) -> Correspondence:
    """Pair the arrays of two networks by path.

    Where the paths aren't the same, numbers at the ends of names don't count, since Keras numbers
    layers by what was built before them (`dense`, `dense_1`): what is then called alike corresponds in order.

    Args:
        first: path -> shape.
        second: the same of the other network.
    """
    found = {path: path for path in first if path in second}
    if len(found) < len(first) or len(found) < len(second):
        groups = _by_name(first), _by_name(second)
        found = {}
        for name, paths in groups[0].items():
            others = groups[1].get(name, [])
            if len(others) == len(paths):
                found |= dict(zip(paths, others, strict=True))
            else:
                found |= {path: path for path in paths if path in others}
        found = {path: found[path] for path in first if path in found}
    pairs = {path: other for path, other in found.items() if tuple(first[path]) == tuple(second[other])}
    taken = set(found.values())
    return Correspondence(
        pairs,
        tuple(path for path in first if path not in found),
        tuple(path for path in second if path not in taken),
        {p: (tuple(first[p]), tuple(second[o])) for p, o in found.items() if p not in pairs},
    )


def _by_name(shapes: Shapes) -> dict[str, list[str]]:
    groups = defaultdict(list)
    for path in shapes:
        groups["/".join(re.sub(r"_\d+$", "", part) for part in path.split("/"))].append(path)
    return groups
