"""Masks and weights of a network for other data: what has another shape there is drawn anew, not pruned."""

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.masks import Masks
from tf_lottery.runs.subject import Subject
from tf_lottery.store.store import Store


def crosses(spec: RunSpec, store: Store) -> bool:
    """Return whether a run's masks come from a network for other data."""
    return spec.root is not None and store.record(spec.root).spec.data.digest != spec.data.digest


def fitted(spec: RunSpec, store: Store, subject: Subject) -> Masks:
    """Return the masks of the run that the spec names, for the network that will be trained.

    Args:
        spec: The run's spec.
        store: The store that holds the run that the masks are of.
        subject: The network that will be trained.

    Raises:
        LotteryError: If no layer has the shape that it had in the other network.
    """
    masks = store.masks(spec.masks_of)
    if not crosses(spec, store):
        return subject.named(masks, "")
    shapes = subject.shapes()
    same = {path for path, shape in shapes.items() if np.shape(masks.get(path)) == tuple(shape)}
    if not same:
        raise LotteryError(
            f"No prunable layer of {spec.describe()} has the shape that it has in the network that the masks "
            "come from, so there is nothing to transfer. Choose data with inputs of the same shape."
        )
    return {path: masks[path] if path in same else np.ones(shape, bool) for path, shape in shapes.items()}


def fitted_weights(weights: Arrays, fresh: Arrays) -> tuple[Arrays, list[str]]:
    """Return stored weights where the network has the same ones, else fresh ones, and the latter's names.

    Args:
        weights: The stored weights by name.
        fresh: The weights of the network that will be trained, newly drawn.
    """
    drawn = [name for name, value in fresh.items() if not _alike(weights.get(name), value)]
    return {name: value if name in drawn else weights[name] for name, value in fresh.items()}, drawn


def _alike(first: np.ndarray | None, second: np.ndarray) -> bool:
    return first is not None and (first.shape, first.dtype) == (second.shape, second.dtype)
