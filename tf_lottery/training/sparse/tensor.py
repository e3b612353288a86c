"""`Tensor`, what lies between two layers: values and gradients in the batch-last layout.

Examples lie in groups of 64 lanes. A group holds, for each channel, row and column, the 64 values of its
examples side by side; images have a border of zeros around them, as wide as the convolutions that read them
ask for.
"""

from dataclasses import dataclass, field

import numpy as np

from tf_lottery.training.sparse.kernels.vector import LANES

_ALIGNMENT = 64


@dataclass(eq=False)
class Tensor:
    """The values of one place in a network, for a batch.

    Args:
        channels, rows, columns: The shape of an example; a vector has one row and one column.
        groups: The number of groups of lanes.
        dtype: float32 or float64.

    Attributes:
        border: The zeros above, below, left and right of an image. They can grow until `allocate`.
        value, gradient: Flat arrays, once they are allocated. `gradient` is that of the loss; None where it
            isn't needed.
    """

    channels: int
    rows: int
    columns: int
    groups: int
    dtype: np.dtype
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    value: np.ndarray | None = field(default=None, repr=False)
    gradient: np.ndarray | None = field(default=None, repr=False)

    def widen(self, border: tuple[int, int, int, int]) -> None:
        """Ask for a border that is at least so wide."""
        self.border = tuple(max(pair) for pair in zip(self.border, border, strict=True))

    def allocate(self, gradient: bool) -> None:
        """Allocate the arrays, full of zeros."""
        self.value = zeros(self.groups * self.group_step, self.dtype)
        self.gradient = zeros(self.groups * self.group_step, self.dtype) if gradient else None

    @property
    def column_step(self) -> int:
        """The distance between neighbouring columns, in numbers, as all steps are."""
        return LANES

    @property
    def row_step(self) -> int:
        """The distance between rows."""
        return (self.columns + self.border[2] + self.border[3]) * self.column_step

    @property
    def channel_step(self) -> int:
        """The distance between channels."""
        return (self.rows + self.border[0] + self.border[1]) * self.row_step

    @property
    def group_step(self) -> int:
        """The distance between groups."""
        return self.channels * self.channel_step

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """The numbers of groups, channels and rows, and of numbers in a row."""
        return self.groups, self.channels, self.rows, self.columns * LANES

    @property
    def steps(self) -> tuple[int, int, int, int]:
        """Where the first value lies, and the distances between groups, channels and rows."""
        return int(self.place(0, 0, 0)), self.group_step, self.channel_step, self.row_step

    def place(self, channel, row, column):
        """Return where a value lies within its group; numbers or arrays of them."""
        top, _, left, _ = self.border
        return channel * self.channel_step + (row + top) * self.row_step + (column + left) * self.column_step

    def interior(self, flat: np.ndarray) -> np.ndarray:
        """Return a view of one of its arrays: groups, channels, rows, columns, lanes."""
        top, bottom, left, right = self.border
        image = top + self.rows + bottom, left + self.columns + right
        whole = flat.reshape(self.groups, self.channels, *image, LANES)
        return whole[:, :, top : top + self.rows, left : left + self.columns]

    def features(self) -> np.ndarray:
        """Return where each feature lies, int64, in the order in which Keras flattens an image."""
        row, column, channel = np.indices((self.rows, self.columns, self.channels))
        return self.place(channel, row, column).reshape(-1).astype(np.int64)

    def starts(self) -> np.ndarray:
        """Return where each channel's first value lies, int64."""
        return self.place(np.arange(self.channels), 0, 0).astype(np.int64)


def zeros(size: int, dtype: np.dtype) -> np.ndarray:
    """Return a flat array of zeros that begins at a cache line."""
    size_of = np.dtype(dtype).itemsize
    raw = np.zeros(size * size_of + _ALIGNMENT, np.uint8)
    first = -raw.ctypes.data % _ALIGNMENT
    return raw[first : first + size * size_of].view(dtype)
