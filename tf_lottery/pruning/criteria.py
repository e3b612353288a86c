"""Criteria: weights of the last training step -> scores. The lowest scores are pruned.

A new criterion is a function and a line in `CRITERIA`. One that draws has its name in `DRAWING`, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """What a criterion may look at.

    Attributes:
        weights: kernel path -> weights after the last training step.
        seed: for criteria that draw.
    """

    weights: Mapping[str, np.ndarray]
    seed: int = 0


def magnitude(evidence: Evidence) -> Scores:
    """|w| after training (Frankle & Carbin 2018)."""
    return {path: np.abs(weights) for path, weights in evidence.weights.items()}


def random(evidence: Evidence) -> Scores:
    """Uniform draws: the random-pruning control."""
    generator = np.random.default_rng(evidence.seed)
    return {path: generator.random(weights.shape) for path, weights in evidence.weights.items()}


CRITERIA: dict[str, Callable[[Evidence], Scores]] = {
    "magnitude": magnitude,
    "random": random,
}

DRAWING = frozenset({"random"})
"""Criteria that draw: each round and replicate gives them a seed of their own."""
