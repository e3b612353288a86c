"""Numbers for each place as a picture of characters, which any terminal and any log shows."""

import numpy as np

SHADES = " .:-=+*#%@"
"""Nothing, then from little to much."""
WIDTH = 100
"""The most columns of a picture."""
BAR = 40
"""The columns of the longest bar."""


def picture(values: np.ndarray, width: int = WIDTH) -> list[str]:
    """Return lines that show an array, two characters for each place, so that it isn't distorted.

    Only 0 is blank. Where the lines would be too long, each character pair stands for the mean of a square.

    Args:
        values: An array of two axes, of numbers of at least 0.
        width: The most columns.
    """
    values = _smaller(np.asarray(values, float), -(-2 * values.shape[1] // width))
    most = values.max()
    levels = np.ceil(values / most * (len(SHADES) - 1)).astype(int) if most else np.zeros(values.shape, int)
    return ["".join(2 * SHADES[level] for level in row).rstrip() for row in levels]


def _smaller(values: np.ndarray, side: int) -> np.ndarray:
    """Return the means of squares; those at the lower and right edges may be smaller."""
    if side == 1:
        return values
    rows, columns = (range(0, size, side) for size in values.shape)
    return np.array([[values[r : r + side, c : c + side].mean() for c in columns] for r in rows])


def bars(names: list[str], values: list[float], width: int = BAR) -> list[str]:
    """Return a line for each value, with its name and a bar of its length.

    Args:
        names: The names.
        values: The values, of at least 0.
        width: The columns of the longest bar.
    """
    most, left = max(values, default=0) or 1, max(map(len, names), default=0)
    return [
        f"{name.rjust(left)} {value:8,.1f} {'#' * round(width * value / most)}".rstrip()
        for name, value in zip(names, values, strict=True)
    ]
