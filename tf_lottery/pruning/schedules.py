"""How many weights remain after a round: rates per layer, and the density that follows."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from tf_lottery.errors import LotteryError


def layer_rates(paths: list[str], rate: float, patterns: Mapping[str, float]) -> dict[str, float]:
    """Return the pruning rate of each kernel.

    Args:
        paths: kernel paths such as `block/conv1/kernel`.
        rate: for kernels that no pattern matches.
        patterns: layer name pattern -> rate. A pattern matches the layer's own name
            (`conv1`) or its path (`block/conv1`), with `*` and `?`; the first counts.

    Raises:
        LotteryError: if a pattern matches no layer.
    """
    unused = set(patterns)
    rates = {}
    for path in paths:
        layer = path.rpartition("/")[0]
        names = (layer, layer.rpartition("/")[2])
        rates[path] = rate
        for pattern, own in patterns.items():
            if any(fnmatchcase(name, pattern) for name in names):
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
