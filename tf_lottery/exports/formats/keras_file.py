"""Writing `.keras` files, and the int8 file of a model that is trained once more before it is written."""

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
"""Largest difference of a compact model's outputs, relative to the largest output: sums omit some zeros."""


def write_keras(source: Source, path: Path) -> None:
    """Write the model without an optimizer's state."""
    with contextlib.suppress(CannotCopy):
        source = source.of(copy_model(source.plain, copy_layer))
    source.model.save(path)


def write_compact(source: Source, path: Path) -> None:
    """Write the model without its dead units."""
    smaller = compact(source.plain).model
    (scaled(smaller) if source.pixels else smaller).save(path)


def compacted(source: Source) -> Source:
    """Return the source with its compact model, whose outputs are compared with the whole model's.

    Raises:
        LotteryError: If the model can't be made compact, or if the outputs differ.
    """
    smaller = source.of(compact(source.plain).model)
    for name, whole in source.outputs.items():
        difference, largest = np.abs(whole - smaller.outputs[name]).max(), np.abs(whole).max()
        if not difference <= COMPACT * largest:
            raise LotteryError(
                f"The compact model's output {name!r} differs from the whole model's by {difference:.2g}. "
                "Export the model without compact."
            )
    return smaller


def write_qat(source: Source, path: Path) -> None:
    """Write an int8 LiteRT file after a short quantization-aware training."""
    if source.pixels or len(source.signature) > 1:
        raise LotteryError(
            "Expected a model with one input of floats for litert int8_qat, whose file takes int8. Received: "
            f"{'pixels=True' if source.pixels else f'{len(source.signature)} inputs'}"
        )
    if source.training is None or source.training[1] is None:
        raise LotteryError(
            "Expected train_data=(x, y), with which litert int8_qat trains. Received: "
            f"{'no train_data' if source.training is None else 'inputs without labels'}"
        )
    path.write_bytes(quantize_aware(source.plain, *source.training, noted=source.noted))


def custom_modules(model: keras.Model) -> list[str]:
    """Return the modules that a fresh process must import to load a model's own layers and functions."""
    layers = model._flatten_layers()
    modules = {type(layer).__module__ for layer in layers}
    registered = {id(each) for each in keras.saving.get_custom_objects().values()}
    values = [value for layer in layers for value in vars(layer).values()]  # activations, initializers, ...
    modules |= {each.__module__ for v in values for each in (v, type(v)) if id(each) in registered}
    return sorted(each for each in modules if each.split(".")[0] not in ("keras", "__main__"))
