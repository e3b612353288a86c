"""Pruning criteria: functions from what is known of a network to scores.

The lowest scores are pruned. To add a criterion, write a function and add a line to `CRITERIA`; the sets
below it say which criteria draw, which look at the initial weights, and which need a `Probe`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.probe import Probe, Scores


@dataclass(frozen=True)
class Evidence:
    """Everything that a criterion may look at.

    Attributes:
        weights: Kernel path -> weights after the last training step; before any training, the initial ones.
        initial: Kernel path -> weights of the dense network at step 0. Empty if they aren't known.
        masks: Kernel path -> current mask. A kernel without one has all its weights.
        seed: Seed for criteria that draw random numbers.
        probe: What measures gradients at `weights`, if there is one.
    """

    weights: Mapping[str, np.ndarray]
    initial: Mapping[str, np.ndarray] = field(default_factory=dict)
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    seed: int = 0
    probe: Probe | None = None

    def pairs(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield the path, the initial weights and the weights of each kernel.

        Raises:
            LotteryError: If the initial weights aren't known.
        """
        for path, weights in self.weights.items():
            if path not in self.initial:
                raise LotteryError(
                    f"This criterion needs the weights at step 0, which aren't known here for {path}. "
                    f"Choose one of {', '.join(of_weights())}."
                )
            yield path, self.initial[path], weights

    def probed(self) -> Probe:
        """Return the probe.

        Raises:
            LotteryError: If there is none.
        """
        if self.probe is None:
            raise LotteryError(
                "This criterion needs the network's gradients, which aren't measured here. "
                f"Choose one of {', '.join(of_weights())}."
            )
        return self.probe


def magnitude(evidence: Evidence) -> Scores:
    """Score weights by their magnitude after training, |w| (Frankle & Carbin 2018).

    It is the `large_final` of Zhou et al. 2019. Before any training it is the magnitude at initialization.
    """
    return {path: np.abs(weights) for path, weights in evidence.weights.items()}


def random(evidence: Evidence) -> Scores:
    """Score weights by uniform random draws: the random-pruning control."""
    generator = np.random.default_rng(evidence.seed)
    return {path: generator.random(weights.shape) for path, weights in evidence.weights.items()}


def large_init(evidence: Evidence) -> Scores:
    """Score weights by their magnitude at step 0, |w_i| (Zhou et al. 2019)."""
    return {path: np.abs(initial) for path, initial, _ in evidence.pairs()}


def small_init(evidence: Evidence) -> Scores:
    """Keep the weights that were small at step 0, by -|w_i| (Zhou et al. 2019)."""
    return {path: -np.abs(initial) for path, initial, _ in evidence.pairs()}


def small_final(evidence: Evidence) -> Scores:
    """Keep the weights that are small after training, by -|w_f| (Zhou et al. 2019)."""
    return {path: -np.abs(weights) for path, weights in evidence.weights.items()}


def large_init_large_final(evidence: Evidence) -> Scores:
    """Keep weights that are large both at step 0 and after training (Zhou et al. 2019).

    Their min(alpha |w_f|, |w_i|), with alpha "adjusted as needed to align percentiles between w_i and w_f":
    as in their code, each is its percentile among the remaining weights of its layer.
    """
    return {
        path: np.minimum(
            _percentiles(evidence, path, np.abs(initial)), _percentiles(evidence, path, np.abs(weights))
        )
        for path, initial, weights in evidence.pairs()
    }


def small_init_small_final(evidence: Evidence) -> Scores:
    """Keep weights that are small both at step 0 and after training (Zhou et al. 2019).

    Their -max(alpha |w_f|, |w_i|), with percentiles as in `large_init_large_final`.
    """
    return {
        path: np.minimum(
            _percentiles(evidence, path, -np.abs(initial)), _percentiles(evidence, path, -np.abs(weights))
        )
        for path, initial, weights in evidence.pairs()
    }


def magnitude_increase(evidence: Evidence) -> Scores:
    """Score weights by how much their magnitude grew, |w_f| - |w_i| (Zhou et al. 2019)."""
    return {path: np.abs(weights) - np.abs(initial) for path, initial, weights in evidence.pairs()}


def movement(evidence: Evidence) -> Scores:
    """Score weights by how far they moved, |w_f - w_i| (Zhou et al. 2019)."""
    return {path: np.abs(weights - initial) for path, initial, weights in evidence.pairs()}


def snip(evidence: Evidence) -> Scores:
    """Score weights by |g w|, the change of the loss when they are removed (Lee et al. 2019)."""
    gradients = evidence.probed().gradients(evidence.masks)
    return {path: np.abs(gradients[path] * weights) for path, weights in evidence.weights.items()}


def grasp(evidence: Evidence) -> Scores:
    """Keep the weights whose removal would reduce the gradient's norm the most (Wang et al. 2020).

    They remove the highest -w Hg; the lowest are pruned here, so the sign is the opposite one. As in
    their code, the logits are divided by a temperature of 200.
    """
    products = evidence.probed().hessian_gradient(evidence.masks, temperature=200.0)
    return {path: products[path] * weights for path, weights in evidence.weights.items()}


def synflow(evidence: Evidence) -> Scores:
    """Score weights by |w| dR/d|w|, their synaptic flow (Tanaka et al. 2020).

    Their algorithm scores and prunes 100 times: see `ITERATED`.
    """
    flows = evidence.probed().synflow(evidence.masks)
    return {
        path: np.abs(weights.astype(np.float64)) * flows[path] for path, weights in evidence.weights.items()
    }


CRITERIA: dict[str, Callable[[Evidence], Scores]] = {
    "magnitude": magnitude,
    "random": random,
    "large_init": large_init,
    "small_init": small_init,
    "small_final": small_final,
    "large_init_large_final": large_init_large_final,
    "small_init_small_final": small_init_small_final,
    "magnitude_increase": magnitude_increase,
    "movement": movement,
    "snip": snip,
    "grasp": grasp,
    "synflow": synflow,
}

DRAWING = {"random"}
"""Criteria that draw: each round and replicate gives them a seed of their own."""

FROM_INITIAL = {
    "large_init",
    "small_init",
    "large_init_large_final",
    "small_init_small_final",
    "magnitude_increase",
    "movement",
}
"""Criteria that need `Evidence.initial`, the dense network's weights at step 0."""

PROBING = {"snip", "grasp", "synflow"}
"""Criteria that need `Evidence.probe`."""

OUTPUTS: dict[str, tuple[str, ...]] = {"grasp": ("logits",), "synflow": ("logits", "values")}
"""Criteria that don't take every kind of outputs -> those that they take: `logits` and `probabilities` of a
cross-entropy, `values` of another loss."""

LOOKING = {"snip", "grasp"}
"""Criteria that look at training examples, which are drawn."""

ITERATED: dict[str, int] = {"synflow": 100}
"""Criteria that score and prune several times -> how many times, along an exponential schedule: after the
k-th of n, the density is d ** (k / n), where d is the final one."""


def of_weights() -> list[str]:
    """Return the names of the criteria that look at nothing but the present weights."""
    return [name for name in CRITERIA if name not in FROM_INITIAL | PROBING]


def _percentiles(evidence: Evidence, path: str, values: np.ndarray) -> np.ndarray:
    """Return the fraction of a layer's remaining values that are lower than each value."""
    remaining = np.sort(values[evidence.masks[path]] if path in evidence.masks else values.ravel())
    return np.searchsorted(remaining, values) / max(remaining.size, 1)
