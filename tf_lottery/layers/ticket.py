"""Applies a ticket's masks and weights to a model."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import keras
import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.layers.convert import make_prunable_kernels
from tf_lottery.layers.copying import settle
from tf_lottery.layers.paths import holders, named_variables
from tf_lottery.pruning.correspond import Correspondence, correspond

_OTHER = "other/"
"""Prefix of variables such as the seeds of dropout, which a ticket from another library lacks."""


def apply_ticket(
    model: keras.Model,
    masks: Mapping[str, np.ndarray],
    start: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    weights: Literal["start", "trained"] | None,
    partial: bool,
) -> keras.Model:
    """Apply a ticket's masks and weights to a model and return it; see `Ticket.apply`."""
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, which is not built. "
            "Give it a keras.Input or call it once."
        )
    values = _values(masks, start, trained, weights)
    variables = {p: v for p, v in named_variables(model).items() if not p.startswith(_OTHER)}
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    matches = correspond({path: np.shape(value) for path, value in values.items()}, shapes)
    if not start:  # A ticket with masks only says nothing about the model's other variables.
        matches = replace(matches, foreign=())
    _check(matches, partial)
    paths = {path: matches.pairs[path] for path in masks if path in matches.pairs}
    if not paths:
        raise LotteryError(
            f"Expected a model that the ticket fits. Received: {model.name!r}, which has none of its kernels "
            f"({', '.join(list(masks)[:4])})"
        )
    if next(holders(model), None) is None:
        model = make_prunable_kernels(model, {path: variables[path] for path in paths.values()})
        variables = named_variables(model)
    new = {path: np.ones(mask.shape, bool) for path, mask in get_masks(model).items()}
    if uncovered := [path for path in paths.values() if path not in new]:
        raise LotteryError(
            f"Kernels of the ticket aren't prunable in {model.name!r}: {', '.join(uncovered[:4])}. "
            "Apply the ticket to the plain model."
        )
    new |= {target: masks[path] for path, target in paths.items()}
    set_masks(model, new)
    if weights is not None:
        for path, target in matches.pairs.items():
            variables[target].assign(values[path])
        settle(model)
    return model


def _values(
    masks: Mapping[str, np.ndarray],
    start: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    weights: str | None,
) -> dict[str, np.ndarray]:
    """Return path -> array of the ticket's weights to apply, or of its masks if it has none."""
    if weights not in ("start", "trained", None):
        raise LotteryError(f"Expected weights to be 'start', 'trained' or None. Received: {weights!r}")
    if weights == "trained" and not trained:
        raise LotteryError(
            "The ticket has no trained weights. Apply it with weights='start', and train the model."
        )
    if weights == "start" and not start:
        raise LotteryError("The ticket has masks only. Apply them with weights=None.")
    values = trained if weights == "trained" else start or masks
    for path, mask in masks.items():
        if path not in values:
            raise LotteryError(
                f"Expected masks that fit the ticket's weights. Received: {path}, which has no weights"
            )
        if np.shape(values[path]) != np.shape(mask):
            raise LotteryError(
                f"Expected masks that fit the ticket's weights. Received: {path}, which has a mask of shape "
                f"{np.shape(mask)} and weights of shape {np.shape(values[path])}"
            )
        if np.asarray(mask).dtype != bool:
            raise LotteryError(f"Expected boolean masks. Received: {path}, which is {np.asarray(mask).dtype}")
    return {path: value for path, value in values.items() if not path.startswith(_OTHER)}


def _check(matches: Correspondence, partial: bool) -> None:
    if matches.complete:
        return
    if not partial:
        raise LotteryError(
            f"Expected a model of the ticket's architecture. Received: {matches.differences()}. "
            "Pass partial=True to apply what corresponds."
        )
    warnings.warn(
        f"Parts that don't correspond stay unchanged: {matches.differences(limit=20)}.", stacklevel=4
    )
