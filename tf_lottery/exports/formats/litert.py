"""LiteRT files: float, sparse, and integer by quantization after training."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.fits import check_fits, refused
from tf_lottery.exports.formats.saved_model import write_dense
from tf_lottery.exports.recurrent import fixed_steps, unrolled
from tf_lottery.exports.source import Source
from tf_lottery.native import quiet_stderr

CALIBRATION = 500
"""Training examples from which the ranges of activations are read."""


def write_float(source: Source, path: Path) -> None:
    """Write float32 weights, zeros and all."""
    _convert(source, path)


def write_sparse(source: Source, path: Path) -> None:
    """Write surviving weights only: a smaller file, faster where few weights and examples are computed."""

    def sparse(converter: tf.lite.TFLiteConverter) -> None:
        # Nothing else beside it: such a file doesn't load under the default delegate.
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]

    _convert(source, path, sparse)


def write_dynamic(source: Source, path: Path) -> None:
    """Write int8 weights; activations are quantized as they come. Small layers stay float."""

    def dynamic(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    _convert(source, path, dynamic)


def write_int8(source: Source, path: Path) -> None:
    """Write int8 weights and activations, inputs and outputs included, after training.

    Ranges are read from training examples; a zero stays exactly zero, since weights are quantized
    symmetrically.
    """
    if source.pixels or len(source.signature) > 1:
        raise LotteryError(
            "Expected a model with one input of floats for litert int8. Received: "
            f"{'pixels=True' if source.pixels else f'{len(source.signature)} inputs'}. Its file takes int8."
        )
    if source.training is None:
        raise LotteryError(
            "Expected train_data, from which the ranges of activations are read, for litert int8. "
            "Received: none"
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
    """Convert the SavedModel that is written once: of one that Keras wrote it loses the weights."""
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
            except Exception as error:  # what an operation that there isn't raises depends on the operation
                raise refused(source, "LiteRT", error) from error
    path.write_bytes(content)
