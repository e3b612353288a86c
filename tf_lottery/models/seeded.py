"""Reproducible initialization from a seed."""

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make every network that is built in this context draw its weights from `seed`.

    Keras layers without a seed of their own draw one when they are created. The global generators of
    Python and NumPy get their states back afterwards.
    """
    states = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
