"""A ticket's masks and weights put into a model."""

import warnings
from dataclasses import replace
from typing import Literal

import keras
import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.layers.convert import make_prunable_kernels
from tf_lottery.layers.copying import settle
from tf_lottery.layers.paths import holders, named_variables
from tf_lottery.pruning.correspond import Correspondence, correspond

_OTHER = "other/"
"""Seeds of dropout and the like, which a ticket of another library doesn't have."""


def apply_ticket(
    model: keras.Model,
    masks: Arrays,
    start: Arrays,
    trained: Arrays,
    weights: Literal["start", "trained"] | None,
    partial: bool,
) -> keras.Model:
    """As `Ticket.apply`."""
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, not built. "
            "Give it a keras.Input or call it once."
        )
    values = _values(masks, start, trained, weights)
    there = {p: v for p, v in named_variables(model).items() if not p.startswith(_OTHER)}
    shapes = {path: tuple(variable.shape) for path, variable in there.items()}
    found = correspond({path: np.shape(value) for path, value in values.items()}, shapes)
    if not start:  # masks are all there is: the rest of the model isn't their concern
        found = replace(found, foreign=())
    _check(found, partial)
    paths = {path: found.pairs[path] for path in masks if path in found.pairs}
    if not paths:
        raise LotteryError(
            f"Expected a model that the ticket fits. Received: {model.name!r}, which has none of its kernels "
            f"({', '.join(list(masks)[:4])})"
        )
    if next(holders(model), None) is None:
        model = make_prunable_kernels(model, {path: there[path] for path in paths.values()})
        there = named_variables(model)
    new = {path: np.ones(mask.shape, bool) for path, mask in get_masks(model).items()}
    if uncovered := [path for path in paths.values() if path not in new]:
        raise LotteryError(
            f"Expected a model in which all kernels of the ticket are prunable. Received: {model.name!r}, in "
            f"which these aren't: {', '.join(uncovered[:4])}. Give the plain model."
        )
    new |= {target: masks[path] for path, target in paths.items()}
    set_masks(model, new)
    if weights is not None:
        for path, target in found.pairs.items():
            there[target].assign(values[path])
        settle(model)
    return model


def _values(masks: Arrays, start: Arrays, trained: Arrays, weights: str | None) -> dict[str, np.ndarray]:
    """Return path -> array of what a ticket holds; the masks, if no weights are asked for."""
    if weights not in ("start", "trained", None):
        raise LotteryError(f"Expected weights='start', 'trained' or None. Received: {weights!r}")
    if weights == "trained" and not trained:
        raise LotteryError(
            "Expected a ticket with trained weights. Received: one without. Apply its start, and train it."
        )
    if weights == "start" and not start:
        raise LotteryError(
            "Expected a ticket with weights. Received: masks only. Apply them with weights=None."
        )
    values = trained if weights == "trained" else start or masks
    for path, mask in masks.items():
        if path not in values:
            raise LotteryError(
                f"Expected masks of weights that the ticket has. Received: {path}, of which it has none"
            )
        if np.shape(values[path]) != np.shape(mask):
            raise LotteryError(
                f"Expected masks of the shapes of their weights. Received: {path} {np.shape(values[path])} "
                f"with a mask {np.shape(mask)}"
            )
        if np.asarray(mask).dtype != bool:
            raise LotteryError(f"Expected masks of booleans. Received: {path} of {np.asarray(mask).dtype}")
    return {path: value for path, value in values.items() if not path.startswith(_OTHER)}


def _check(found: Correspondence, partial: bool) -> None:
    if found.complete:
        return
    if not partial:
        raise LotteryError(
            f"Expected a model of the ticket's architecture. Received: {found.differences()}. "
            "partial=True applies what corresponds."
        )
    warnings.warn(f"Not applied, and left as it is: {found.differences(limit=20)}.", stacklevel=4)
