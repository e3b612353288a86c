"""The factor `width` by which a builder multiplies its hidden layers."""

import math

from tf_lottery.errors import LotteryError

LARGEST = 1_000_000
"""The largest hidden layer. More units than that are a slip, and no memory holds them."""


def check_image(name: str, input_shape: tuple[int, ...], least: int) -> None:
    """Check that images are large enough for a network's pooling.

    Raises:
        LotteryError: If they have fewer than `least` x `least` pixels.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < least:
        raise LotteryError(
            f"Expected images of at least {least} x {least} pixels and their channels, for {name}. Received: "
            f"inputs of shape {tuple(input_shape)}. Choose another model, or other data."
        )


def scaled(size: int, width: float) -> int:
    """Return the number of units or channels of a hidden layer: `size * width`, rounded, at least 1.

    Args:
        size: The number in the network of width 1.0.
        width: The factor, above 0.

    Raises:
        LotteryError: If the factor isn't a finite number above 0, or the layer would be huge.
    """
    is_number = isinstance(width, int | float) and not isinstance(width, bool)
    if not (is_number and math.isfinite(width) and width > 0):
        raise LotteryError(f"Expected width, the factor of all hidden layers, above 0. Received: {width!r}")
    if size * width > LARGEST:
        raise LotteryError(
            f"Expected width, a factor of hidden layers, so that none has over {LARGEST:,} units. Received: "
            f"{width!r}"
        )
    return max(1, round(size * width))
