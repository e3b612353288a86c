"""Scopes: how many weights each layer keeps, and where scores compete.

A pruning first counts how many weights remain, then a scope distributes them over groups of layers. Within a
group scores compete. To add a scope, write a function and add a line to `SCOPES`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.schedules import keep_next

Kept = dict[tuple[str, ...], int]
"""Group of kernel paths -> how many of its weights stay."""


@dataclass(frozen=True)
class Layers:
    """The layers that a scope distributes weights over.

    Attributes:
        shapes: Kernel path -> shape, in the order of the network.
        remaining: Kernel path -> number of weights that remain before the pruning.
        by_layer: Kernel path -> number of weights that stay if each layer is pruned at its own rate; empty if
            the weights are counted over all layers together.
        total: The number of weights that stay in the layers that compete.
        competing: The paths of the layers that are pruned, whose rate isn't 0.
    """

    shapes: Mapping[str, tuple[int, ...]]
    remaining: Mapping[str, int]
    by_layer: Mapping[str, int]
    total: int
    competing: tuple[str, ...]


def layer(layers: Layers) -> Kept:
    """Prune each layer at its own rate (Frankle & Carbin 2018: LeNet, Conv-2, Conv-4, Conv-6)."""
    if not layers.by_layer:
        raise LotteryError(
            "Weights that are counted over all layers together can't be distributed by scope 'layer'. Use "
            "scope 'global' or 'erk'."
        )
    return {(path,): count for path, count in layers.by_layer.items()}


def over_all(layers: Layers) -> Kept:
    """Let scores compete over all layers (Frankle & Carbin 2018: VGG-19, ResNet)."""
    return {layers.competing: layers.total} if layers.competing else {}


def erk(layers: Layers) -> Kept:
    """Keep weights in proportion to the sum of a kernel's dimensions (Evci et al. 2020, ERK).

    A layer's density is then proportional to the sum of its kernel's dimensions divided by their product.
    Layers that would keep more weights than they have keep them all.
    """
    return _shared(layers, {path: float(sum(layers.shapes[path])) for path in layers.competing}, {})


def smart_ratio(layers: Layers) -> Kept:
    """Keep a share that falls from layer to layer, whatever the data (Su et al. 2020, smart ratios).

    Of L layers, layer l keeps a fraction in proportion to (L - l + 1)^2 + (L - l + 1), and the last one 30%.
    """
    *others, last = layers.competing or ("",)
    count = len(others) + 1
    shares = {
        path: math.prod(layers.shapes[path]) * ((count - index) ** 2 + (count - index))
        for index, path in enumerate(others)
    }
    fixed = {last: round(0.3 * math.prod(layers.shapes[last]))} if last else {}
    return _shared(layers, shares, fixed)


SCOPES: dict[str, Callable[[Layers], Kept]] = {
    "layer": layer,
    "global": over_all,
    "erk": erk,
    "smart_ratio": smart_ratio,
}
"""The values that `pruning.scope` may have."""


def check_scope(name: str, where: str = "scope") -> None:
    """Check that a scope has a function.

    Raises:
        LotteryError: If it hasn't.
    """
    if name not in SCOPES:
        raise LotteryError(f"Expected {where} as one of {', '.join(SCOPES)}. Received: {name!r}")


def kept(
    shapes: Mapping[str, tuple[int, ...]],
    remaining: Mapping[str, int],
    rates: Mapping[str, float],
    scope: str,
    rounds: int = 1,
    counted: str | None = None,
) -> Kept:
    """Return how many weights stay in which groups of layers. Layers outside of all groups stay as they are.

    Args:
        shapes: Kernel path -> shape, in the order of the network.
        remaining: Kernel path -> number of weights that remain.
        rates: Kernel path -> fraction of the remaining weights that is pruned each round.
        scope: The scope that distributes the weights.
        rounds: How many rounds are pruned at once. The counting is repeated round by round, so the count is
            that of as many prunings one after another.
        counted: The scope of the prunings whose count is matched. Default: `scope`. With `layer` each layer
            is counted at its own rate, with any other all of them together, at one rate.

    Raises:
        LotteryError: If the scope is unknown, or layers have different rates though they are counted
            together.
    """
    check_scope(scope)
    competing = tuple(path for path in remaining if rates[path] > 0)
    by_layer: dict[str, int] = {}
    if (counted or scope) == "layer":
        by_layer = {path: _repeated(count, rates[path], rounds) for path, count in remaining.items()}
        total = sum(by_layer[path] for path in competing)
    else:
        distinct = {rates[path] for path in competing}
        if len(distinct) > 1:
            raise LotteryError(
                "Expected one rate for all layers (or 0, to leave a layer out) with scope "
                f"{counted or scope!r}. Received: {sorted(distinct)}"
            )
        total = _repeated(sum(remaining[path] for path in competing), *(distinct or {0.0}), rounds)
    return SCOPES[scope](Layers(shapes, remaining, by_layer, total, competing))


def _repeated(count: int, rate: float, rounds: int) -> int:
    for _ in range(rounds):
        count = keep_next(count, rate)
    return count


def _shared(layers: Layers, shares: Mapping[str, float], fixed: Mapping[str, int]) -> Kept:
    """Distribute the total in proportion to shares, where no layer keeps more weights than remain in it.

    What rounding down leaves over goes to the layers with the largest remainders, the first among equals.
    """
    counts = {path: min(count, layers.remaining[path]) for path, count in fixed.items()}
    left = layers.total - sum(counts.values())
    if left < 0:
        path, count = next(iter(counts.items()))
        raise LotteryError(
            f"Only {layers.total} weights stay in all, but {path} alone would keep {count}. Stop at a higher "
            "density."
        )
    open_ = dict(shares)
    while open_:
        scale = left / sum(open_.values())
        full = [path for path, share in open_.items() if scale * share >= layers.remaining[path]]
        if not full:
            break
        for path in full:
            counts[path] = layers.remaining[path]
            left -= counts[path]
            del open_[path]
    exact = {path: scale * share for path, share in open_.items()}
    counts |= {path: math.floor(value) for path, value in exact.items()}
    left -= sum(math.floor(value) for value in exact.values())
    for path in sorted(exact, key=lambda path: math.floor(exact[path]) - exact[path])[:left]:
        counts[path] += 1
        left -= 1
    for path in fixed:  # all others are full
        more = min(left, layers.remaining[path] - counts[path])
        counts[path], left = counts[path] + more, left - more
    return {(path,): counts[path] for path in layers.competing}
