"""The user's callbacks from round to round: each starts afresh and overwrites no earlier round's files."""

import contextlib
import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from tf_lottery.layers.refers import names_of_keras
from tf_lottery.method.spec import RunSpec
from tf_lottery.search.arms import MAIN

# Attribute -> whether it names a file or a directory. Each round gets its own.
_FILES = {"filepath": "file", "filename": "file", "log_dir": "directory", "backup_dir": "directory"}
_PLATEAU = ("best", "wait", "cooldown_counter")


class Callbacks:
    """Callbacks of a search.

    Keras's own callbacks are copied as they were given, so EarlyStopping's patience, ReduceLROnPlateau's
    cooldown and ModelCheckpoint's best value start anew. The user's own objects are used themselves; if their
    class derives from one of Keras's, what that class stores starts anew. Files and directories get the
    round's label: `best.keras` becomes `best.round03.keras`.

    Args:
        callbacks: The callbacks as they were given to `fit`.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]):
        self._given = list(callbacks)
        self._new = [_copied(vars(callback)) for callback in callbacks]

    @contextlib.contextmanager
    def of(self, label: str) -> Iterator[list[keras.callbacks.Callback]]:
        """Yield the callbacks for one round.

        Args:
            label: The run's label, such as `round03`.
        """
        callbacks = [_afresh(c, new, label) for c, new in zip(self._given, self._new, strict=True)]
        try:
            yield callbacks
        finally:
            for callback, new in zip(self._given, self._new, strict=True):
                for name, value in new.items():
                    if isinstance(value, (str, os.PathLike)):
                        setattr(callback, name, value)


class Plateaus(keras.callbacks.Callback):
    """Restores what ReduceLROnPlateau had seen by the rewind point when a round begins there.

    Args:
        callbacks: The round's callbacks, which come before this one.
        states: What `seen` returned at the rewind point, or None at step 0.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], states: Sequence[Mapping] | None):
        super().__init__()
        self._callbacks = [c for c in callbacks if isinstance(c, keras.callbacks.ReduceLROnPlateau)]
        self._states = states

    def seen(self) -> list[dict[str, Any]]:
        """Return what the callbacks have seen, as JSON."""
        states = [{name: getattr(each, name, None) for name in _PLATEAU} for each in self._callbacks]
        return [{k: v if v is None else float(v) for k, v in state.items()} for state in states]

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore the states, after Keras has reset the callbacks."""
        for callback, state in zip(self._callbacks, self._states or (), strict=False):
            for name, value in state.items():
                setattr(callback, name, value)


def label_of(spec: RunSpec) -> str:
    """Return the label of a run's files, such as `round03` or `round03_shuffled2`: another one for each run.

    Args:
        spec: The run's spec.
    """
    if spec.arm == MAIN or not spec.round:
        return f"round{spec.round:02d}"
    apart = "-" if spec.arm[-1].isdigit() else ""  # arms x1 and x: the second trial, and the twelfth
    return f"round{spec.round:02d}_{spec.arm}{apart}{spec.trial + 1}"


def _afresh(callback: keras.callbacks.Callback, new: dict[str, Any], label: str) -> keras.callbacks.Callback:
    if isinstance(callback, (keras.callbacks.History, keras.callbacks.LambdaCallback)):
        return callback
    fresh, of_keras = callback, names_of_keras(type(callback), keras.callbacks.Callback)
    if type(callback).__module__.startswith("keras."):
        fresh, of_keras = copy.copy(callback), set(new)
    if not of_keras:
        return callback  # what the user's own class stores and writes is its own concern
    for name, value in _copied({k: v for k, v in new.items() if k in of_keras}).items():
        setattr(fresh, name, value)
    for attribute, kind in _FILES.items():
        if isinstance(path := getattr(fresh, attribute, None), (str, os.PathLike)):
            _rename(fresh, os.fspath(path), _labelled(os.fspath(path), label, kind))
    return fresh


def _copied(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in attributes.items() if name not in ("_model", "params")}
    return {n: copy.copy(v) if isinstance(v, (list, dict, set)) else v for n, v in kept.items()}


def _rename(callback: keras.callbacks.Callback, path: str, new: str) -> None:
    """Replace a path, also in the paths of files that a callback has derived from it."""
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
