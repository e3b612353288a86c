"""Callbacks that start each round afresh, and don't write over what an earlier round wrote."""

import copy
import os
from collections.abc import Sequence

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
        if isinstance(path := getattr(fresh, attribute, None), (str, os.PathLike)):
            _rename(fresh, os.fspath(path), _labelled(os.fspath(path), label, kind))
    return fresh


def _rename(callback: keras.callbacks.Callback, path: str, new: str) -> None:
    """Put another path in place of one, also where a callback has made paths of files of it."""
    for name, value in vars(callback).items():
        text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
        if text == path or text.startswith(os.path.join(path, "")):
            setattr(callback, name, new + text[len(path) :])


def _labelled(path: str, label: str, kind: str) -> str:
    if kind == "directory":
        return os.path.join(path, label)
    directory, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if name.endswith(".weights.h5"):
        stem, suffix = name.removesuffix(".weights.h5"), ".weights.h5"
    return os.path.join(directory, f"{stem}.{label}{suffix}")
