"""Masks: dictionaries from a kernel's path to a boolean array, True where a weight remains."""

import hashlib
from collections.abc import Mapping

import numpy as np

Masks = dict[str, np.ndarray]


def ones(shapes: Mapping[str, tuple[int, ...]]) -> Masks:
    """Return masks that keep every weight."""
    return {path: np.ones(shape, bool) for path, shape in shapes.items()}


def remaining(masks: Mapping[str, np.ndarray]) -> int:
    """Return how many weights remain."""
    return sum(int(np.count_nonzero(mask)) for mask in masks.values())


def size(masks: Mapping[str, np.ndarray]) -> int:
    """Return how many weights there are, pruned or not."""
    return sum(mask.size for mask in masks.values())


def density(masks: Mapping[str, np.ndarray]) -> float:
    """Return the fraction of prunable weights that remain, the paper's P_m; 1.0 if there are none."""
    total = size(masks)
    return remaining(masks) / total if total else 1.0


def distance(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> float:
    """Return the fraction of positions where two sets of masks differ.

    This is the normalized Hamming distance of You et al. 2020 (Early-Bird tickets).
    """
    differing = sum(int(np.count_nonzero(first[path] != second[path])) for path in first)
    return differing / size(first)


def zeroed(arrays: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return all arrays, with exactly 0.0 (never -0.0) where a weight is pruned.

    Args:
        arrays: Path -> array. Arrays without a mask are returned unchanged.
        masks: Path -> mask.

    Raises:
        KeyError: If there is a mask for an array that isn't given: it would be left out without a word.
    """
    if lacking := masks.keys() - arrays.keys():
        raise KeyError(f"no arrays for the masks of {', '.join(sorted(lacking))}")
    return {
        path: np.where(masks[path], value, np.zeros_like(value)) if path in masks else value
        for path, value in arrays.items()
    }


def shrinks(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> bool:
    """Return whether every weight pruned before is still pruned, and the paths are the same."""
    return before.keys() == after.keys() and all(not np.any(after[path] & ~before[path]) for path in before)


def digest(masks: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of masks, whatever the order of their paths."""
    total = hashlib.sha256()
    for path in sorted(masks):
        total.update(path.encode())
        total.update(np.packbits(masks[path]))
    return total.hexdigest()
