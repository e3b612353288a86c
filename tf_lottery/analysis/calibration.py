"""Whether a network is as often right as it says: calibration of probabilities, on arrays."""

from dataclasses import dataclass

import numpy as np
from scipy import special

BINS = 15
"""The bins of confidence, all of one width (Guo et al. 2017)."""
LEAST = 1e-7
"""The least probability that a logarithm is taken of where outputs are probabilities, as in Keras."""
ROUNDING = 1e-3
"""How far the sum of an example's probabilities may lie from 1."""


@dataclass(frozen=True)
class Calibration:
    """What a network's probabilities are worth.

    Attributes:
        confidence: The mean of the highest probability.
        calibration_error: The expected calibration error, a fraction: the difference of confidence and
            accuracy within a bin, on the mean over examples.
        negative_log_likelihood: The mean of -log p of the true class, in nats.
        brier: The mean over examples of the squared differences to the true class's 1 and the others' 0,
            summed over classes: 0 to 2 (Brier 1950).
    """

    confidence: float
    calibration_error: float
    negative_log_likelihood: float
    brier: float


def calibration(outputs: np.ndarray, labels: np.ndarray, kind: str) -> Calibration | None:
    """Return what a network's outputs say of its calibration.

    Args:
        outputs: A row of numbers for each example, a number for each class.
        labels: The true classes, as integers.
        kind: `logits`, `probabilities`, or anything else for outputs that are neither.

    Returns:
        The figures; None if the outputs are no probabilities.
    """
    outputs = np.asarray(outputs, np.float64)
    if kind == "logits":
        logs = special.log_softmax(outputs, axis=-1)
        probabilities = np.exp(logs)
    elif kind == "probabilities" and _add_up(outputs):
        probabilities = outputs
        logs = np.log(np.maximum(outputs, LEAST))
    else:
        return None
    rows = np.arange(len(labels))
    wrong = probabilities.copy()
    wrong[rows, labels] -= 1
    confidences = probabilities.max(axis=-1)
    hits = outputs.argmax(axis=-1) == labels
    return Calibration(
        float(confidences.mean()),
        expected_calibration_error(confidences, hits),
        float(-logs[rows, labels].mean()),
        float(np.square(wrong).sum(axis=-1).mean()),
    )


def expected_calibration_error(confidences: np.ndarray, hits: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error (Guo et al. 2017), a fraction.

    Args:
        confidences: The probability of the class that was chosen, for each example.
        hits: Whether it was the true one.
        bins: The number of bins of one width. Their upper ends belong to them.
    """
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.digitize(confidences, edges, right=True)
    gaps = np.bincount(bin_of, np.asarray(hits, float) - confidences, bins)
    return float(np.abs(gaps).sum() / len(confidences))


def _add_up(outputs: np.ndarray) -> bool:
    return bool((outputs >= 0).all() and (np.abs(outputs.sum(axis=-1) - 1) <= ROUNDING).all())
