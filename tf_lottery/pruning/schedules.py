"""How many weights remain after a round: rates per layer, and the density that follows."""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from glob import escape

from tf_lottery.errors import LotteryError


def layer_rates(paths: list[str], rate: float, patterns: Mapping[str, float]) -> dict[str, float]:
    """Return the pruning rate of each kernel.

    Args:
        paths: kernel paths such as `block/conv1/kernel`.
        rate: for kernels that no pattern matches.
        patterns: layer name pattern -> rate. A pattern matches the layer's own name
            (`conv1`) or its path (`block/conv1`), with `*` and `?`; the first counts. What is
            a layer's name as it stands (`out[class]`) means that name alone.

    Raises:
        LotteryError: if a pattern matches no layer.
    """
    unused = set(patterns)
    rates = {}
    names_of = {path: _names(path) for path in paths}
    meant = as_patterns(patterns, {name for names in names_of.values() for name in names})
    for path, names in names_of.items():
        rates[path] = rate
        for pattern, own in patterns.items():
            if any(fnmatchcase(name, meant[pattern]) for name in names):
                rates[path] = own
                unused.discard(pattern)
                break
    for pattern in patterns:
        if pattern in unused:
            layers = ", ".join(path.rpartition("/")[0] for path in paths)
            raise LotteryError(
                f"Expected pruning.layer_rates to name layers of the model ({layers}). "
                f"Received: {pattern!r}, which decides none of them."
            )
    return rates


def as_patterns(rules: Iterable[str], names: Collection[str]) -> dict[str, str]:
    """Return rule -> the pattern that is meant: of a rule that is one of the names, that name alone."""
    return {rule: escape(rule) if rule in names else rule for rule in rules}


def _names(path: str) -> tuple[str, str]:
    layer = path.rpartition("/")[0]
    return layer, layer.rpartition("/")[2]


def keep_next(remaining: int, rate: float) -> int:
    """Return how many of `remaining` weights are kept: round(rate x remaining) go.

    Python's `round` is meant: an exact half goes to the even number.
    """
    return remaining - round(rate * remaining)


def densities(sizes: Mapping[str, int], rates: Mapping[str, float], rounds: int) -> list[float]:
    """Return the density after each round of layer-wise pruning, round 0 included.

    Args:
        sizes: kernel path -> number of weights.
        rates: kernel path -> rate.
        rounds: number of prunings.
    """
    left = dict(sizes)
    total = sum(sizes.values())
    result = [1.0]
    for _ in range(rounds):
        left = {path: keep_next(count, rates[path]) for path, count in left.items()}
        result.append(sum(left.values()) / total)
    return result
