"""Pruning criteria: functions from the weights of the last training step to scores.

The lowest scores are pruned. To add a criterion, write a function and add a line to `CRITERIA`; the name of
one that draws goes into `DRAWING`, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """Everything that a criterion may look at.

    Attributes:
        weights: Kernel path -> weights after the last training step.
        seed: Seed for criteria that draw random numbers.
    """

    weights: Mapping[str, np.ndarray]
    seed: int = 0


def magnitude(evidence: Evidence) -> Scores:
    """Score weights by their magnitude after training, |w| (Frankle & Carbin 2018)."""
    return {path: np.abs(weights) for path, weights in evidence.weights.items()}


def random(evidence: Evidence) -> Scores:
    """Score weights by uniform random draws: the random-pruning control."""
    generator = np.random.default_rng(evidence.seed)
    return {path: generator.random(weights.shape) for path, weights in evidence.weights.items()}


CRITERIA: dict[str, Callable[[Evidence], Scores]] = {
    "magnitude": magnitude,
    "random": random,
}

DRAWING = frozenset({"random"})
"""Criteria that draw: each round and replicate gives them a seed of their own."""
