"""Pruning rates of the layers, and how many weights remain after each round."""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from glob import escape

from tf_lottery.errors import LotteryError


def layer_rates(paths: list[str], rate: float, patterns: Mapping[str, float]) -> dict[str, float]:
    """Return the pruning rate of each kernel.

    Args:
        paths: Kernel paths such as `block/conv1/kernel`.
        rate: Rate of the kernels that no pattern matches.
        patterns: Layer name pattern -> rate. A pattern matches the layer's own name (`conv1`) or its
            path (`block/conv1`), with `*` and `?`; the first pattern that matches counts. A pattern that
            is itself the name of a layer (`out[class]`) matches that name only.

    Raises:
        LotteryError: If a pattern sets the rate of no layer.
    """
    unused = set(patterns)
    rates = {}
    names_of = {path: _names(path) for path in paths}
    resolved = as_patterns(patterns, {name for names in names_of.values() for name in names})
    for path, names in names_of.items():
        rates[path] = rate
        for pattern, own in patterns.items():
            if any(fnmatchcase(name, resolved[pattern]) for name in names):
                rates[path] = own
                unused.discard(pattern)
                break
    for pattern in patterns:
        if pattern in unused:
            layers = ", ".join(path.rpartition("/")[0] for path in paths)
            raise LotteryError(
                f"Expected pruning.layer_rates to name layers of the model ({layers}). "
                f"Received: {pattern!r}, which sets the rate of none of them."
            )
    return rates


def as_patterns(rules: Iterable[str], names: Collection[str]) -> dict[str, str]:
    """Return rule -> pattern, where a rule that is itself one of the names matches that name only."""
    return {rule: escape(rule) if rule in names else rule for rule in rules}


def _names(path: str) -> tuple[str, str]:
    layer = path.rpartition("/")[0]
    return layer, layer.rpartition("/")[2]


def keep_next(remaining: int, rate: float) -> int:
    """Return how many of `remaining` weights are kept when round(rate x remaining) are pruned.

    `round` is Python's: an exact half is rounded to the even number.
    """
    return remaining - round(rate * remaining)


def densities(sizes: Mapping[str, int], rates: Mapping[str, float], rounds: int) -> list[float]:
    """Return the density after each round of layer-wise pruning, round 0 included.

    Args:
        sizes: Kernel path -> number of weights.
        rates: Kernel path -> pruning rate.
        rounds: Number of prunings.
    """
    left = dict(sizes)
    total = sum(sizes.values())
    result = [1.0]
    for _ in range(rounds):
        left = {path: keep_next(count, rates[path]) for path, count in left.items()}
        result.append(sum(left.values()) / total)
    return result
