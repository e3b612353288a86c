"""Turns scores and masks into the next round's masks: exact counts, ties by index, no empty layer."""

import math
from collections.abc import Mapping

import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.scopes import Kept, kept


def select(
    scores: Mapping[str, np.ndarray],
    masks: Mapping[str, np.ndarray],
    rates: Mapping[str, float],
    scope: str = "layer",
    min_density: float = 0.0,
) -> Masks:
    """Prune the remaining weights that have the lowest scores.

    Args:
        scores: Kernel path -> scores, in the kernel's shape. Scores of weights that are already pruned
            are ignored.
        masks: Kernel path -> current mask.
        rates: Kernel path -> fraction of the remaining weights to prune, in [0, 1].
        scope: With `layer`, scores compete within each layer, at the layer's own rate. With `global`,
            they compete over all layers whose rate isn't 0, which must share one rate. The others of `SCOPES`
            distribute the weights that remain in all over the layers, where scores compete.
        min_density: Fraction of each layer's weights that is always kept, as a guard against layers that
            collapse: its highest-scored weights don't compete.

    Returns:
        New masks, subsets of the old ones. Exactly round(rate x remaining) weights are pruned, per layer
        or in total; among equal scores the lower index is pruned first (C order within a layer, layers
        in the order of `masks`).

    Raises:
        LotteryError: If scores are NaN or infinite, a layer would be left empty, or more weights are to be
            pruned than `min_density` allows.
    """
    shapes = {path: mask.shape for path, mask in masks.items()}
    remaining = {path: int(np.count_nonzero(mask)) for path, mask in masks.items()}
    return keep(scores, masks, kept(shapes, remaining, rates, scope), min_density)


def keep(
    scores: Mapping[str, np.ndarray],
    masks: Mapping[str, np.ndarray],
    counts: Kept,
    min_density: float = 0.0,
    noun: str = "weights",
) -> Masks:
    """Keep so many of the remaining weights, those with the highest scores.

    Args:
        scores: Kernel path -> scores, as in `select`.
        masks: Kernel path -> current mask.
        counts: Group of kernel paths, in the order of `masks` -> how many of its weights stay.
        min_density: As in `select`.
        noun: What the scores are of, for the error message.

    Raises:
        LotteryError: As `select` does.
    """
    for path, mask in masks.items():
        if not np.all(np.isfinite(scores[path][mask])):
            raise LotteryError(
                f"Expected finite scores. Received: NaN or infinity in {path}. The training "
                "that produced them diverged: try a lower training.learning_rate."
            )
    pruned = dict(masks)
    for paths, count in counts.items():
        pruned |= _prune_group(scores, masks, list(paths), count, min_density, noun)
    for path, mask in pruned.items():
        if masks[path].any() and not mask.any():
            raise LotteryError(
                f"This pruning empties {path}, and every layer must keep a weight. Stop a round earlier, "
                "lower its rate with layer_rates, or keep a share of every layer with min_density=0.01."
            )
    return pruned


def _prune_group(scores, masks, paths: list[str], count: int, min_density: float, noun: str) -> Masks:
    flat_masks = np.concatenate([masks[path].ravel() for path in paths])
    values = np.concatenate([scores[path].ravel() for path in paths])
    going = np.count_nonzero(flat_masks) - count
    competing = np.concatenate([_competing(scores[path], masks[path], min_density) for path in paths])
    alive = np.flatnonzero(competing)
    if going > len(alive):
        raise LotteryError(
            f"Expected at most {len(alive)} {noun} to prune, since {min_density:.1%} of each layer remain. "
            f"Received: {going} in {', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}"
        )
    flat_masks[alive[np.argsort(values[alive], kind="stable")[:going]]] = False
    parts = np.split(flat_masks, np.cumsum([masks[path].size for path in paths])[:-1])
    return {path: part.reshape(masks[path].shape) for path, part in zip(paths, parts, strict=True)}


def _competing(scores: np.ndarray, mask: np.ndarray, min_density: float) -> np.ndarray:
    """Return which weights of a layer may be pruned, as a flat boolean array."""
    competing = mask.ravel().copy()
    spared = math.ceil(min_density * mask.size)
    if spared:
        alive = np.flatnonzero(competing)
        competing[alive[np.argsort(scores.ravel()[alive], kind="stable")[-spared:]]] = False
    return competing
