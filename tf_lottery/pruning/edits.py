"""Edits of masks, for the controls that ask what a mask's structure is worth.

An edit keeps the number of weights of each layer. To add one, write a function and add a line to `EDITS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.groups import Groups
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.patterns import SINGLE
from tf_lottery.pruning.select import keep


@dataclass(frozen=True)
class Pruned:
    """The masks that are edited, and how they came about.

    Attributes:
        masks: Kernel path -> mask, after the last pruning.
        seed: The seed of an edit that draws.
        before: Kernel path -> mask, before the last pruning; None if the masks come from no pruning.
        scores: Kernel path -> the scores that decided the last pruning; None likewise.
        groups: The groups of weights that were pruned together; None if the masks come from no pruning.
    """

    masks: Mapping[str, np.ndarray]
    seed: int
    before: Mapping[str, np.ndarray] | None = None
    scores: Mapping[str, np.ndarray] | None = None
    groups: Groups | None = None


def shuffled(pruned: Pruned) -> Masks:
    """Shuffle each layer's mask: random pruning with the same counts by layer (Frankle et al. 2021).

    Units and blocks are shuffled as a whole.
    """
    generator = np.random.default_rng(pruned.seed)
    if _is_grouped(pruned):
        return pruned.groups.shuffled(pruned.masks, generator)
    return {
        path: generator.permutation(mask.ravel()).reshape(mask.shape) for path, mask in pruned.masks.items()
    }


def inverted(pruned: Pruned) -> Masks:
    """Prune the highest scores in place of the lowest, as many in each layer (Frankle et al. 2021)."""
    if pruned.before is None or pruned.scores is None:
        raise LotteryError("These masks come from no pruning by scores, so there is nothing to invert.")
    if _is_grouped(pruned):
        raise LotteryError("Masks of a pattern other than single weights can't be inverted.")
    counts = {(path,): int(np.count_nonzero(mask)) for path, mask in pruned.masks.items()}
    return keep({path: -scores for path, scores in pruned.scores.items()}, pruned.before, counts)


def _is_grouped(pruned: Pruned) -> bool:
    return pruned.groups is not None and pruned.groups.pattern.kind != SINGLE


EDITS: dict[str, Callable[[Pruned], Masks]] = {
    "shuffled": shuffled,
    "inverted": inverted,
}
"""The values that an edit's `kind` may have in a run's spec."""


def edit(kind: str, pruned: Pruned) -> Masks:
    """Return the edited masks.

    Args:
        kind: A key of `EDITS`.
        pruned: The masks.

    Raises:
        LotteryError: If the edit is unknown or impossible.
        RuntimeError: If it changes how many weights a layer keeps.
    """
    if kind not in EDITS:
        raise LotteryError(f"Expected an edit of {', '.join(EDITS)}. Received: {kind!r}")
    masks = EDITS[kind](pruned)
    for path, mask in pruned.masks.items():
        if np.count_nonzero(masks[path]) != np.count_nonzero(mask):
            raise RuntimeError(f"edit {kind!r} changed the count of {path}: please report this")
    return masks
