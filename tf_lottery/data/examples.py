"""`Examples`: the data of a source, before it is split and scaled."""

from dataclasses import dataclass

import numpy as np

from tf_lottery import arrays

NAMES = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Examples:
    """Training and test examples as their source provides them.

    Attributes:
        x_train: Training inputs, examples first: `uint8` pixels or other numbers.
        y_train: Integer labels, one for each training example.
        x_test: Test inputs, in the form of `x_train`.
        y_test: Test labels, in the form of `y_train`.
        source: Where the examples came from, in words.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str

    def arrays(self) -> arrays.Arrays:
        """Return the four arrays by name."""
        return {name: getattr(self, name) for name in NAMES}

    @property
    def digest(self) -> str:
        """The sha256 of the four arrays, whatever their source."""
        return arrays.digest(self.arrays())
