"""`.keras` files, and what is trained once more before it is written."""

import contextlib
from pathlib import Path

import keras
import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.exports.compact.compact import compact
from tf_lottery.exports.formats.qat import quantize_aware
from tf_lottery.exports.source import Source, scaled
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model

COMPACT = 1e-5
"""Difference of a compact model's outputs, relative to the largest: its sums are taken over fewer zeros."""


def write_keras(source: Source, path: Path) -> None:
    """Write the model, without what an optimizer remembers."""
    with contextlib.suppress(CannotCopy):
        source = source.of(copy_model(source.plain, copy_layer))
    source.model.save(path)


def write_compact(source: Source, path: Path) -> None:
    """Write the model without the units that pruning has killed."""
    smaller = compact(source.plain).model
    (scaled(smaller) if source.pixels else smaller).save(path)


def compacted(source: Source) -> Source:
    """Return the source of the compact model, held against the whole one.

    Raises:
        LotteryError: a model that can't be made compact, or answers otherwise.
    """
    smaller = source.of(compact(source.plain).model)
    for name, whole in source.outputs.items():
        difference, largest = np.abs(whole - smaller.outputs[name]).max(), np.abs(whole).max()
        if not difference <= COMPACT * largest:
            raise LotteryError(
                "Expected the compact model to answer as the whole one. "
                f"Received: {name} differs by {difference:.2g}"
            )
    return smaller


def write_qat(source: Source, path: Path) -> None:
    """Write the int8 LiteRT file of a model that was trained a little more, knowing that it will be int8."""
    if source.pixels or len(source.signature) > 1:
        raise LotteryError(
            "Expected a model with one input of floats for litert int8_qat. Received: "
            f"{'pixels=True' if source.pixels else f'{len(source.signature)} inputs'}. Its file takes int8."
        )
    if source.training is None or source.training[1] is None:
        raise LotteryError(
            "Expected train_data=(x, y) for litert int8_qat, which trains. Received: "
            f"{'none' if source.training is None else 'inputs without labels'}"
        )
    path.write_bytes(quantize_aware(source.plain, *source.training, noted=source.noted))


def custom_modules(model: keras.Model) -> list[str]:
    """Return the modules that a fresh process has to import to know a model's layers and functions."""
    layers = model._flatten_layers()
    modules = {type(layer).__module__ for layer in layers}
    registered = {id(each) for each in keras.saving.get_custom_objects().values()}
    held = [value for layer in layers for value in vars(layer).values()]  # activations, initializers, ...
    modules |= {each.__module__ for value in held for each in (value, type(value)) if id(each) in registered}
    return sorted(each for each in modules if each.split(".")[0] not in ("keras", "__main__"))
