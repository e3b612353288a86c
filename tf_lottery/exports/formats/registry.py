"""The formats that a model can be exported in. Another one is a function and a line in `FORMATS`."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats import interchange, litert, saved_model
from tf_lottery.exports.formats.keras_file import COMPACT, write_compact, write_keras, write_qat
from tf_lottery.exports.source import Source


@dataclass(frozen=True)
class Limits:
    """How much an export may differ from its source before it is refused.

    Attributes:
        difference: The largest difference of any output, relative to the output's largest value.
        accuracy: The fraction of accuracy that may be lost on the test examples.
        rms: The root mean square of any output's differences, relative to the output's standard deviation.
    """

    difference: float
    accuracy: float = 0.0005
    rms: float = 1.0


EXACT = Limits(1e-6)
FLOAT = Limits(1e-3)
INTEGER = Limits(float("inf"), accuracy=0.003, rms=0.25)
TRAINED = Limits(float("inf"), accuracy=0.003, rms=1.0)
"""The limits for weights that were trained once more."""


@dataclass(frozen=True)
class Format:
    """A format and how to write, run and judge its files.

    Attributes:
        write: A function `(source, path)` that writes the file or directory.
        runtime: The runtime that verifies and measures it, a name in `runner.RUNTIMES`.
        file: The name of the file or directory among several formats in one directory.
        limits: How much an export may differ from its source.
        packages: Pairs of a module that the format needs and the extra of tf_lottery that installs it.
        zeros: Whether the file's own tensors are checked for nonzero pruned weights.
        trains: Whether the format needs training examples.
    """

    write: Callable[[Source, Path], None]
    runtime: str
    file: str
    limits: Limits
    packages: tuple[tuple[str, str], ...] = ()
    zeros: bool = False
    trains: bool = False


_LITERT = (("ai_edge_litert", "litert"),)
_ONNX = (("tf2onnx", "onnx"), ("onnxruntime", "onnx"))

FORMATS: dict[str, dict[str, Format]] = {
    "savedmodel": {
        "packed": Format(saved_model.write_packed, "tensorflow", "savedmodel_packed", EXACT),
        "dense": Format(saved_model.write_dense, "tensorflow", "savedmodel_dense", EXACT),
    },
    "compact": {"float": Format(write_compact, "keras", "compact.keras", Limits(COMPACT))},
    "litert": {
        "float": Format(litert.write_float, "litert", "litert_float.tflite", FLOAT, _LITERT, zeros=True),
        "sparse": Format(litert.write_sparse, "litert", "litert_sparse.tflite", FLOAT, _LITERT, zeros=True),
        "dynamic": Format(
            litert.write_dynamic, "litert", "litert_dynamic.tflite", INTEGER, _LITERT, zeros=True
        ),
        "int8": Format(
            litert.write_int8, "litert", "litert_int8.tflite", INTEGER, _LITERT, zeros=True, trains=True
        ),
        "int8_qat": Format(
            write_qat, "litert", "litert_int8_qat.tflite", TRAINED, _LITERT, zeros=True, trains=True
        ),
    },
    "onnx": {"float": Format(interchange.write_onnx, "onnxruntime", "model.onnx", FLOAT, _ONNX)},
    "openvino": {
        "float": Format(
            interchange.write_openvino, "openvino", "openvino", FLOAT, (("openvino", "openvino"),)
        )
    },
}

BASELINES: dict[str, Format] = {
    "tensorflow": FORMATS["savedmodel"]["dense"],
    "keras": Format(write_keras, "keras", "dense.keras", EXACT),
    "litert": FORMATS["litert"]["float"],
    "onnxruntime": FORMATS["onnx"]["float"],
    "openvino": FORMATS["openvino"]["float"],
}
"""Runtime -> the format in which the dense original is written, to be measured in the same runtime."""


def find(format: str, weights: str | None = None) -> tuple[str, Format]:
    """Return a format's label, such as `savedmodel packed`, and the format.

    Args:
        format: A key of `FORMATS`.
        weights: A key of `FORMATS[format]`. Default: the first.

    Raises:
        LotteryError: If the format or its weights are unknown.
    """
    if format not in FORMATS:
        raise LotteryError(f"Expected format as one of {', '.join(FORMATS)}. Received: {format!r}")
    kinds = FORMATS[format]
    weights = next(iter(kinds)) if weights is None else weights
    if weights not in kinds:
        raise LotteryError(
            f"Expected weights of format {format} as one of {', '.join(kinds)}. Received: {weights!r}"
        )
    return label(format, weights), kinds[weights]


def label(format: str, weights: str) -> str:
    """Return the label of a format in tables."""
    return format if len(FORMATS[format]) == 1 else f"{format} {weights}"


def every() -> dict[str, Format]:
    """Return label -> format for all formats."""
    return {label(name, weights): kind for name, kinds in FORMATS.items() for weights, kind in kinds.items()}


def missing(format: Format) -> str | None:
    """Return the command that installs what a format needs, or None if nothing is missing."""
    extras = {extra for module, extra in format.packages if importlib.util.find_spec(module) is None}
    return f"pip install 'tf_lottery[{','.join(sorted(extras))}]'" if extras else None
