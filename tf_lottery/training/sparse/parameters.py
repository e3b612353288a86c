"""`Parameters`: all weights that are trained, without pruned ones, in a flat array, and their gradients."""

from dataclasses import dataclass

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.training.sparse.tensor import zeros


@dataclass(frozen=True)
class Part:
    """Where the weights of one variable lie among the parameters.

    Attributes:
        name: The variable's name, as in `tf_lottery.training.state`.
        first, last: Its part of the flat arrays, `last` excluded.
        positions: The position in the flattened variable of each of its weights that remain. None for all, in
            order.
        kernel: Whether weight decay applies to it.
    """

    name: str
    first: int
    last: int
    positions: np.ndarray | None
    kernel: bool


class Parameters:
    """The weights that are trained.

    Args:
        dtype: float32 or float64.

    Attributes:
        parts: The variables' parts, in the order in which they were added.
        values, gradients: Flat arrays, once they are allocated. Their size is a multiple of 16; what is
            beyond the last part stays 0.0.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype, self.parts = np.dtype(dtype), []
        self.values = self.gradients = zeros(0, dtype)

    def add(self, name: str, size: int, positions: np.ndarray | None = None, kernel: bool = False) -> Part:
        """Add a variable.

        Args:
            name: Its name.
            size: How many of its weights remain.
            positions: As in a `Part`.
            kernel: As in a `Part`.
        """
        # Each part begins at a multiple of 16, so that it can be read in whole vectors.
        first = -(-self.parts[-1].last // 16) * 16 if self.parts else 0
        part = Part(name, first, first + size, positions, kernel)
        self.parts.append(part)
        return part

    def allocate(self) -> None:
        """Allocate the arrays, full of zeros."""
        size = -(-self.parts[-1].last // 16) * 16 if self.parts else 0
        self.values, self.gradients = zeros(size, self.dtype), zeros(size, self.dtype)

    def like(self) -> np.ndarray:
        """Return zeros of the same size, for a slot of an optimizer."""
        return zeros(len(self.values), self.dtype)

    def read(self, arrays: Arrays, flat: np.ndarray, names: dict[str, str] | None = None) -> None:
        """Copy the weights that remain from whole variables into a flat array.

        Args:
            arrays: The variables by name.
            flat: `values`, or an array of their size.
            names: The name in `arrays` of each part; None for their own.
        """
        for part in self.parts:
            whole = arrays[names[part.name] if names else part.name].reshape(-1)
            flat[part.first : part.last] = whole if part.positions is None else whole[part.positions]

    def write(self, arrays: Arrays, flat: np.ndarray, names: dict[str, str] | None = None) -> None:
        """Copy a flat array into whole variables, in place. What doesn't remain is left as it is."""
        for part in self.parts:
            whole = arrays[names[part.name] if names else part.name].reshape(-1)  # a view
            if part.positions is None:
                whole[:] = flat[part.first : part.last]
            else:
                whole[part.positions] = flat[part.first : part.last]
