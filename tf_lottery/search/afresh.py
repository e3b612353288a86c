"""Callbacks that start each round afresh, and don't write over what an earlier round wrote."""

import copy
from collections.abc import Sequence
from pathlib import PurePath

import keras

# Attribute -> what a round's own is called after.
_FILES = {"filepath": "file", "filename": "file", "log_dir": "directory", "backup_dir": "directory"}


def afresh(callbacks: Sequence[keras.callbacks.Callback], label: str) -> list[keras.callbacks.Callback]:
    """Return callbacks for one round.

    Keras's own are copied as they were given: EarlyStopping's patience, ReduceLROnPlateau's cooldown and
    ModelCheckpoint's best value begin anew. Files and directories that they write get the round's label:
    `best.keras` becomes `best.round03.keras`. The user's own callbacks are used as they are: Keras tells
    them when a training begins.

    Args:
        callbacks: as given to `fit`.
        label: of the run, `round03`.
    """
    return [_afresh(callback, label) for callback in callbacks]


def _afresh(callback: keras.callbacks.Callback, label: str) -> keras.callbacks.Callback:
    if not type(callback).__module__.startswith("keras."):
        return callback
    if isinstance(callback, (keras.callbacks.History, keras.callbacks.LambdaCallback)):
        return callback
    fresh = copy.copy(callback)
    for name, value in vars(callback).items():
        if isinstance(value, (list, dict, set)):
            setattr(fresh, name, copy.copy(value))
    for attribute, kind in _FILES.items():
        if isinstance(path := getattr(fresh, attribute, None), (str, PurePath)):
            setattr(fresh, attribute, type(path)(_labelled(PurePath(path), label, kind)))
    return fresh


def _labelled(path: PurePath, label: str, kind: str) -> PurePath:
    if kind == "directory":
        return path / label
    for suffix in (".weights.h5", path.suffix):
        if suffix and path.name.endswith(suffix):
            return path.with_name(f"{path.name.removesuffix(suffix)}.{label}{suffix}")
    return path.with_name(f"{path.name}.{label}")
