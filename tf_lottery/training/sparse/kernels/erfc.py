"""The complement of the error function, which NumPy lacks."""

import math

import numpy as np

from tf_lottery.training.sparse.kernels.cache import compiled


def erfc(x: np.ndarray) -> np.ndarray:
    """Return 1 - the error function of each number."""
    result = np.ascontiguousarray(x).copy()
    _replace(result.reshape(-1))
    return result


@compiled
def _replace(x):
    for index in range(len(x)):
        x[index] = math.erfc(x[index])
