"""Patterns: which weights are pruned together.

A pattern divides each kernel into groups. Of `units` and blocks whole groups are pruned, and the rate applies
to their number; of `N:M` the N highest of each group stay. To add one, write a function and add a line to
`PATTERNS`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tf_lottery.errors import LotteryError

Shape = tuple[int, ...]

SINGLE = "single"
OF_EACH = "N:M"
_FORMS = {
    r"single": "single",
    r"units": "units",
    r"block:([1-9]\d{0,5})x([1-9]\d{0,5})": "block",
    r"([1-9]\d{0,5}):([1-9]\d{0,5})": OF_EACH,
}


@dataclass(frozen=True)
class Pattern:
    """A pattern, read from its text.

    Attributes:
        kind: A key of `PATTERNS`.
        sizes: The numbers in its text: N and M, or the rows (inputs) and columns (outputs) of a block.
    """

    kind: str
    sizes: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether groups are pruned as a whole."""
        return self.kind != OF_EACH

    @property
    def noun(self) -> str:
        """What is counted."""
        return {"units": "units", "block": "blocks"}.get(self.kind, "weights")

    @property
    def density(self) -> float | None:
        """The fraction of weights that N:M keeps; None for patterns that any rate goes with."""
        return None if self.is_whole else self.sizes[0] / self.sizes[1]


def single(shape: Shape, unit_axes: int, sizes: tuple[int, ...]) -> np.ndarray:
    """Each weight by itself (Han et al. 2015; Frankle & Carbin 2018)."""
    return np.arange(math.prod(shape)).reshape(shape)


def units(shape: Shape, unit_axes: int, sizes: tuple[int, ...]) -> np.ndarray:
    """All weights that lead to one unit: a column of a Dense kernel, a filter (Li et al. 2017)."""
    own = shape[len(shape) - unit_axes :]
    return np.broadcast_to(np.arange(math.prod(own)).reshape(own), shape)


def block(shape: Shape, unit_axes: int, sizes: tuple[int, ...]) -> np.ndarray:
    """Blocks of so many inputs by so many outputs (Gray et al. 2017; Narang et al. 2017).

    A convolution's kernel has a matrix of inputs and outputs for each of its positions, and blocks never
    reach from one into the next. Blocks at the end of a matrix that they don't divide are smaller.
    """
    return _tiled(shape, *sizes)


def n_of_m(shape: Shape, unit_axes: int, sizes: tuple[int, ...]) -> np.ndarray:
    """M consecutive inputs of one output, of which N stay (Mishra et al. 2021; Zhou et al. 2021).

    As in tensorflow-model-optimization they run along the inputs, for each position of a convolution apart;
    if M doesn't divide the inputs, the last of them form a smaller group, of which at most N stay.
    """
    return _tiled(shape, sizes[1], 1)


PATTERNS: dict[str, Callable[[Shape, int, tuple[int, ...]], np.ndarray]] = {
    "single": single,
    "units": units,
    "block": block,
    OF_EACH: n_of_m,
}
"""Kind of pattern -> the number of each weight's group, in the kernel's shape. It is made of that shape, how
many of the last axes number the layer's units, and the numbers in the pattern's text."""


def pattern(text: str, where: str = "pattern") -> Pattern:
    """Read a pattern: `single`, `units`, `block:RxC` such as `block:4x4`, or `N:M` such as `2:4`.

    Args:
        text: The pattern.
        where: Where it stands, for the error message.

    Raises:
        LotteryError: If it isn't one.

    Examples:
        >>> pattern("block:4x2").sizes
        (4, 2)
    """
    for form, kind in _FORMS.items():
        match = re.fullmatch(form, text, re.ASCII) if isinstance(text, str) else None
        sizes = tuple(int(size) for size in match.groups()) if match else ()
        if match and (kind != OF_EACH or sizes[0] < sizes[1]):
            return Pattern(kind, sizes)
    raise LotteryError(
        f"Expected {where} as single, units, a block such as block:4x4, or N:M with N below M such as 2:4. "
        f"Received: {text!r}"
    )


def _tiled(shape: Shape, rows: int, columns: int) -> np.ndarray:
    """Return the number of each weight's tile, where tiles cover the last two axes."""
    inputs, outputs = shape[-2:]
    across, down = -(-outputs // columns), -(-inputs // rows)
    tiles = (np.arange(inputs) // rows)[:, None] * across + np.arange(outputs) // columns
    positions = np.arange(math.prod(shape[:-2])).reshape(*shape[:-2], 1, 1)
    return positions * (down * across) + tiles
