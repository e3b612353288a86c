"""The factor `width` by which a builder multiplies its hidden layers."""

import math

from tf_lottery.errors import LotteryError


def scaled(size: int, width: float) -> int:
    """Return the number of units or channels of a hidden layer: `size * width`, rounded, at least 1.

    Args:
        size: The number in the network of width 1.0.
        width: The factor, above 0.

    Raises:
        LotteryError: If the factor isn't a finite number above 0.
    """
    is_number = isinstance(width, int | float) and not isinstance(width, bool)
    if not (is_number and math.isfinite(width) and width > 0):
        raise LotteryError(f"Expected width, the factor of all hidden layers, above 0. Received: {width!r}")
    return max(1, round(size * width))
