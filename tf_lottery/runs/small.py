"""The narrower dense network that has as many weights as a pruning leaves (the arm `small_dense`)."""

from typing import Any

import numpy as np

from tf_lottery.config import ModelConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.kernels import PrunableChoice
from tf_lottery.method.spec import RunSpec
from tf_lottery.models.build import build
from tf_lottery.models.width import nearest_width, prunable_weights, with_width
from tf_lottery.runs.masks import counts_of

FARTHEST = 0.25
"""The largest difference from the weights that are wanted, as a fraction of these."""


def narrowed(spec: RunSpec, dataset: Dataset) -> tuple[ModelConfig, dict[str, Any]]:
    """Return the settings of the network that a run trains, and what its record says of them.

    Args:
        spec: The spec of a run that has `small`.
        dataset: The run's data.

    Returns:
        The settings with a `width`, and `width`, `weights_wanted`, `weights_difference`: the weights that the
        network has beyond those that the pruning leaves; negative if it has fewer.

    Raises:
        LotteryError: If the network's builder takes no width, or no width comes near.
    """
    sizes = dataset.input_shape, dataset.classes
    wanted = _remaining(spec, build(spec.model, *sizes, seed=0))

    def count(width: float) -> int:
        return prunable_weights(with_width(spec.model, width), *sizes)

    width = nearest_width(count, wanted)
    difference = count(width) - wanted
    if abs(difference) > FARTHEST * wanted:
        raise LotteryError(
            f"{spec.describe()} wants a dense network of {wanted:,} weights, but the nearest one, of width "
            f"{width:.4g}, has {wanted + difference:,}. Leave this arm out at such densities."
        )
    told = {"width": width, "weights_wanted": wanted, "weights_difference": difference}
    return with_width(spec.model, width), told


def _remaining(spec: RunSpec, model) -> int:
    kernels = PrunableChoice(frozen=spec.model.frozen).kernels_of(model)
    masks = {path: np.ones(kernel.shape, bool) for path, kernel in kernels.items()}
    kept = counts_of(spec.small, masks)
    pruned = {path for paths in kept for path in paths}
    return sum(kept.values()) + sum(mask.size for path, mask in masks.items() if path not in pruned)
