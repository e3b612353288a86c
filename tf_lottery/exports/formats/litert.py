"""Writing LiteRT files: float, sparse, and integer by quantization after training."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.fits import check_fits, conversion_error
from tf_lottery.exports.formats.saved_model import write_dense
from tf_lottery.exports.recurrent import fixed_steps, unrolled
from tf_lottery.exports.source import Source
from tf_lottery.native import quiet_stderr

CALIBRATION = 500
"""How many training examples the ranges of activations are read from."""


def write_float(source: Source, path: Path) -> None:
    """Write all weights as float32, zeros included."""
    _convert(source, path)


def write_sparse(source: Source, path: Path) -> None:
    """Write the surviving weights only: a smaller file, and faster for few weights and few examples."""

    def sparse(converter: tf.lite.TFLiteConverter) -> None:
        # No other optimization is added: such a file doesn't load under the default delegate.
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]

    _convert(source, path, sparse)


def write_dynamic(source: Source, path: Path) -> None:
    """Write int8 weights. Activations are quantized at run time, and small layers stay float."""

    def dynamic(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    _convert(source, path, dynamic)


def write_int8(source: Source, path: Path) -> None:
    """Write int8 weights and activations, inputs and outputs included, by quantization after training.

    The ranges of activations are read from training examples. A zero stays exactly zero, since weights are
    quantized symmetrically.
    """
    if source.pixels or len(source.signature) > 1:
        raise LotteryError(
            "Expected a model with one input of floats for litert int8, whose file takes int8. Received: "
            f"{'pixels=True' if source.pixels else f'{len(source.signature)} inputs'}"
        )
    if source.training is None:
        raise LotteryError(
            "The format litert int8 reads the ranges of activations from train_data, which is missing. "
            "Pass train_data=x."
        )
    x = source.training[0]

    def calibrated(converter: tf.lite.TFLiteConverter) -> None:
        rows = np.random.default_rng(0).permutation(len(x))[:CALIBRATION]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[row : row + 1]] for row in rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    _convert(source, path, calibrated)


def _convert(
    source: Source, path: Path, settings: Callable[[tf.lite.TFLiteConverter], None] | None = None
) -> None:
    """Convert the SavedModel of `write_dense`: the converter loses the weights of one that Keras wrote."""
    check_fits(source, "LiteRT")
    with fixed_steps(source.model):
        source = source.of(unrolled(source.plain))
    with tempfile.TemporaryDirectory(prefix="tf_lottery_") as directory:
        plain = Path(directory) / "saved_model"
        with quiet_stderr():
            with fixed_steps(source.model):
                write_dense(replace(source, classes=(), warmup=False), plain)
            converter = tf.lite.TFLiteConverter.from_saved_model(str(plain))
            if settings is not None:
                settings(converter)
            try:
                content = converter.convert()
            except Exception as error:  # the converter may raise anything, depending on the operation
                raise conversion_error(source, "LiteRT", error) from error
    path.write_bytes(content)
