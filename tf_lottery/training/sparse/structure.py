"""Where the weights that remain lie: by output for the forward pass, by input for the inputs' gradient."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Connections:
    """The weights of a kernel, sorted by what they add to, and then by block.

    Attributes:
        offsets: How far each weight's operand lies from the origin of a place, int32.
        bounds: Where the weights of each target (columns) in each block (rows) begin, int64; the last row is
            the end.
        order: The position among the kernel's values of each weight, int32; None if they lie in this order.
    """

    offsets: np.ndarray
    bounds: np.ndarray
    order: np.ndarray | None = None


def connections(
    targets: np.ndarray,
    offsets: np.ndarray,
    count: int,
    chosen: np.ndarray | None = None,
    blocks: tuple[np.ndarray, int] | None = None,
) -> Connections:
    """Return the connections of some weights.

    Args:
        targets: The index of what each weight adds to.
        offsets: As in `Connections`.
        count: The number of targets.
        chosen: The positions of the weights that take part; None if all do and they are sorted already.
        blocks: The index of each weight's block, and the number of blocks. None for one block.
    """
    block, number = (np.zeros_like(targets), 1) if blocks is None else blocks
    keys = targets * number + block
    if chosen is None:
        order = None
    else:
        order = chosen[np.argsort(keys[chosen], kind="stable")].astype(np.int32)
        keys, offsets = keys[order], offsets[order]
    firsts = np.searchsorted(keys, np.arange(count * number + 1))
    index = np.arange(count) * number + np.arange(number + 1)[:, None]
    return Connections(offsets.astype(np.int32), firsts[index].astype(np.int64), order)
