"""The narrower dense network that has as many weights as a pruned one (the small-dense control)."""

import inspect
import math
from collections.abc import Callable

from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.kernels import PrunableChoice
from tf_lottery.models.build import build, builder_of

_HALVINGS = 20
"""Points at which layers of h and k units are rounded otherwise are 1 / (2 * h * k) apart or farther, unless
they are the same: this many halvings tell them apart for layers of up to 700 units."""
_DOUBLINGS = 10
"""The widest network that is looked at has a width of 2 to this power."""


def nearest_width(count: Callable[[float], int], weights: int) -> float:
    """Return the width at which a network's number of weights is as near as possible to a given one.

    This is a bisection: it ends at a width that has exactly this number, or after 20 halvings. So `count` is
    called 21 times at most, and a few times more where the network must be wider than 1.0. Of two numbers
    that are as near, the lower one is taken; of the widths that have it, the first that was tried, which has
    the shortest binary fraction.

    Args:
        count: The number of weights by width, such as `prunable_weights` of `with_width`. It must not fall
            as the width rises.
        weights: The number of weights that is asked for, at least 1.

    Raises:
        LotteryError: If the number of weights doesn't follow the width, though it would have to.

    Examples:
        >>> from tf_lottery.models.width import nearest_width
        >>> nearest_width(lambda width: 784 * round(300 * width) + round(300 * width) * 10, 794 * 75)
        0.25
    """
    found: dict[float, int] = {}
    low, high = 0.0, 1.0
    found[high] = count(high)
    while found[high] < weights and high < 2**_DOUBLINGS:
        low, high = high, 2 * high
        found[high] = count(high)
    for _ in range(_HALVINGS):
        if weights in found.values() or found[high] < weights:
            break
        middle = (low + high) / 2
        found[middle] = count(middle)
        low, high = (low, middle) if found[middle] > weights else (middle, high)
    nearest = min(found, key=lambda width: (abs(found[width] - weights), found[width]))
    if found[nearest] != weights and len(set(found.values())) == 1:
        raise LotteryError(
            f"Expected a network whose weights follow its `width`, to give it {weights:,}. "
            f"Received: one with {found[nearest]:,} at each of {len(found)} widths"
        )
    return nearest


def with_width(config: ModelConfig, width: float) -> ModelConfig:
    """Return the settings of the same network with another width.

    Args:
        config: The settings of the network. A width in them is replaced.
        width: The factor of all hidden layers.

    Raises:
        LotteryError: If the builder has no argument `width`, or one that isn't a factor.
    """
    _check_width(config)
    return config.model_copy(update={"kwargs": {**config.kwargs, "width": width}})


def prunable_weights(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> int:
    """Return how many weights of a network `make_prunable` gives masks to. The network is built for that.

    Args:
        config: The settings of the network.
        input_shape: Shape of one example.
        classes: Number of classes.

    Raises:
        LotteryError: If the network can't be built, or has a width that its builder doesn't take.
    """
    if "width" in config.kwargs:
        _check_width(config)
    model = build(config, input_shape, classes, seed=0)
    kernels = PrunableChoice(frozen=config.frozen).kernels_of(model)
    return sum(math.prod(kernel.shape) for kernel in kernels.values())


def _check_width(config: ModelConfig) -> None:
    try:
        parameters = inspect.signature(builder_of(config)).parameters
    except (TypeError, ValueError):  # a callable that doesn't say what it takes
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()) and "width" not in parameters:
        return
    received = "none"
    if (width := parameters.get("width")) is not None:
        if width.default in (width.empty, 1):
            return
        received = f"one that is {width.default!r:.40} by default"
    raise LotteryError(
        f"Expected {config.build or config.name} to have an argument `width`, a factor of all hidden layers "
        f"that is 1.0 by default, which arm small_dense needs. Received: {received}"
    )
