"""Updates of masks within a training: gradual pruning, and dynamic sparse training.

An update is a function from what is known of the network at a step to its new masks. To add one, write a
function and add a line to `UPDATES`; `GROWING` says which let weights grow back, `LOOKING` which look at
gradients.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tf_lottery.pruning.criteria import CRITERIA, Evidence
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.probe import Scores
from tf_lottery.pruning.scopes import Kept
from tf_lottery.pruning.select import keep


@dataclass(frozen=True)
class Present:
    """What an update may look at.

    Attributes:
        weights: Kernel path -> present weights; pruned ones are 0.0.
        masks: Kernel path -> present mask.
        progress: How much of the time between the first and the last update has passed, from 0 to 1.
        fraction: The share of a layer's weights that the first update drops, where weights grow back.
        seed: The seed of an update that draws; each step has its own.
        gradients: A function that returns kernel path -> gradient of the loss of the present batch, absent
            weights included.
        final: Group of kernel paths -> how many of its weights stay at the end, where masks only shrink.
        criterion: The criterion whose lowest scores are pruned, likewise.
        min_density: The least fraction of each layer's weights that stays, likewise.
    """

    weights: Mapping[str, np.ndarray]
    masks: Mapping[str, np.ndarray]
    progress: float
    fraction: float = 0.0
    seed: int = 0
    gradients: Callable[[], Scores] | None = None
    final: Kept | None = None
    criterion: str = "magnitude"
    min_density: float = 0.0


def gradual(present: Present) -> Masks:
    """Prune a little at a time: the sparsity rises by a cubic function of the time (Zhu & Gupta 2017)."""
    counts = {}
    for paths, count in present.final.items():
        total = sum(present.masks[path].size for path in paths)
        counts[paths] = total - round((total - count) * cubic(present.progress))
    evidence = Evidence(present.weights, masks=present.masks, seed=present.seed)
    return keep(CRITERIA[present.criterion](evidence), present.masks, counts, present.min_density)


def set_(present: Present) -> Masks:
    """Drop the smallest weights of each layer and let as many grow at random (Mocanu et al. 2018, SET).

    As in the comparison of Evci et al. 2020, the share that is dropped falls by a cosine.
    """
    generator = np.random.default_rng(present.seed)
    grown = {path: generator.random(mask.shape) for path, mask in present.masks.items()}
    return _dropped_and_grown(present, grown)


def rigl(present: Present) -> Masks:
    """Drop the smallest weights of each layer, let those of the largest gradients grow (Evci et al. 2020)."""
    return _dropped_and_grown(present, {path: np.abs(value) for path, value in present.gradients().items()})


UPDATES: dict[str, Callable[[Present], Masks]] = {"gradual": gradual, "set": set_, "rigl": rigl}
"""The values that `kind` may have in a run's recipe of updates."""

GROWING = frozenset({"set", "rigl"})
"""Updates under which weights grow back, as many as are dropped. Layers of density 1 stay as they are."""

LOOKING = frozenset({"rigl"})
"""Updates that look at gradients."""


def cubic(progress: float) -> float:
    """Return how much of the pruning is done, `1 - (1 - progress)^3` (Zhu & Gupta 2017, equation 1)."""
    return 1 - (1 - min(max(progress, 0.0), 1.0)) ** 3


def cosine(progress: float) -> float:
    """Return which part of the first share is still dropped, (1 + cos(pi progress)) / 2 (Evci 2020)."""
    return (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2


def _dropped_and_grown(present: Present, scores: Scores) -> Masks:
    """Return masks of as many weights: the largest stay, and absent ones of the highest scores are added.

    As in the authors' code, floor(share x weights) go, and a weight that is dropped may grow at once: then it
    was never absent, and keeps its value. Among equal values the lower index goes, and the lower one grows.
    """
    share, masks = present.fraction * cosine(present.progress), {}
    for path, mask in present.masks.items():
        masks[path] = mask
        changed = int(share * np.count_nonzero(mask))
        if mask.all() or not changed:
            continue
        flat = mask.ravel().copy()
        alive = np.flatnonzero(flat)
        sizes = np.abs(present.weights[path].ravel()[alive])
        flat[alive[np.argsort(sizes, kind="stable")[:changed]]] = False
        absent = np.flatnonzero(~flat)
        highest = np.argsort(-scores[path].ravel()[absent], kind="stable")[:changed]
        flat[absent[highest]] = True
        masks[path] = flat.reshape(mask.shape)
    return masks
