"""`Examples`: what a source gives, before it is split and scaled."""

from dataclasses import dataclass

import numpy as np

from tf_lottery import arrays

NAMES = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Examples:
    """Training and test examples as their source has them.

    Attributes:
        x_train: inputs, examples first; `uint8` pixels or floats.
        y_train: integer labels, one an example.
        x_test: as `x_train`.
        y_test: as `y_train`.
        source: in words, where they came from.
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
        """sha256 of the contents, whatever the source."""
        return arrays.digest(self.arrays())
