"""Which examples make up each step's batch, as a function of (seed, step) alone."""

import numpy as np


class BatchOrder:
    """A seeded batch order that gives the batches of any range of steps, so that resuming is exact.

    Each epoch is a new permutation; examples that don't fill a batch are dropped.

    Args:
        seed: The seed of the permutations.
        examples: The number of training examples.
        batch_size: The number of examples in a step.
    """

    def __init__(self, seed: int, examples: int, batch_size: int):
        self.seed, self._examples, self._batch_size = seed, examples, batch_size
        self._steps_per_epoch = examples // batch_size
        self._epoch, self._batches = -1, None

    def batches(self, first: int, last: int) -> np.ndarray:
        """Return the example indices of steps first..last-1, int32 of shape (steps, batch)."""
        parts = []
        while first < last:
            epoch, offset = divmod(first, self._steps_per_epoch)
            end = min(last - first + offset, self._steps_per_epoch)
            parts.append(self._of_epoch(epoch)[offset:end])
            first += end - offset
        return np.concatenate(parts) if parts else np.empty((0, self._batch_size), np.int32)

    def _of_epoch(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            permutation = np.random.default_rng([self.seed, epoch]).permutation(self._examples)
            used = permutation[: self._steps_per_epoch * self._batch_size].astype(np.int32)
            self._epoch, self._batches = epoch, used.reshape(-1, self._batch_size)
        return self._batches
