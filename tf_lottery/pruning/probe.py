"""`Probe`: what a criterion may ask a network on some of its training examples."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

Scores = dict[str, np.ndarray]
"""Kernel path -> array in the kernel's shape."""


class Probe(Protocol):
    """A network at the weights of the evidence, with a batch of training examples.

    `training/scores.py` implements it on a Keras model. Every method sets pruned weights to zero first, and
    returns values for all positions, those of pruned weights too. The same call returns the same bits.
    """

    def gradients(self, masks: Mapping[str, np.ndarray]) -> Scores:
        """Return the gradient of the mean loss on the batch with respect to each kernel.

        Args:
            masks: Kernel path -> mask. Kernels without one keep all their weights.
        """

    def hessian_gradient(self, masks: Mapping[str, np.ndarray], temperature: float = 1.0) -> Scores:
        """Return the Hessian of the mean loss times its gradient, with respect to the kernels.

        Gradient and Hessian are those of the prunable kernels only: biases and normalization stay what they
        are, as in the code of Wang et al. 2020.

        Args:
            masks: As in `gradients`.
            temperature: The network's outputs are divided by it before the loss.
        """

    def synflow(self, masks: Mapping[str, np.ndarray]) -> Scores:
        """Return the gradient of R with respect to the absolute value of each kernel, in float64.

        R is the sum of the outputs of the network with the absolute values of all its weights, on an input
        of ones (Tanaka et al. 2020). No examples are used.

        Args:
            masks: As in `gradients`.
        """
