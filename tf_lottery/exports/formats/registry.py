"""What a model can be exported as. A further one is a function `(source, path)` and a line in `FORMATS`."""

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
    """How far an export may be from its source before it is refused.

    Attributes:
        difference: of any output, relative to its largest value.
        accuracy: fraction that may be lost on the test examples.
        rms: root mean square of any output's differences, relative to its deviation.
    """

    difference: float
    accuracy: float = 0.0005
    rms: float = 1.0


EXACT = Limits(1e-6)
FLOAT = Limits(1e-3)
INTEGER = Limits(float("inf"), accuracy=0.003, rms=0.25)
TRAINED = Limits(float("inf"), accuracy=0.003, rms=1.0)
"""Of weights that were trained once more."""


@dataclass(frozen=True)
class Format:
    """Attributes:
    write: makes the file or directory.
    runtime: that it is run in: a name in `runner.RUNTIMES`.
    file: what it is called in a directory of several.
    limits: of what is still the same model.
    packages: module -> extra of tf_lottery that installs it.
    zeros: whether pruned weights are proven zero from the file's own tensors.
    trains: whether it needs training examples.
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
"""What the dense original is written as, to be measured beside an export in the same runtime."""


def find(format: str, weights: str | None = None) -> tuple[str, Format]:
    """Return a format and what it is called: `savedmodel packed`.

    Args:
        format: a key of `FORMATS`.
        weights: a key of its line. Default: its first.

    Raises:
        LotteryError: an unknown one.
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
    """Return what a format is called in tables."""
    return format if len(FORMATS[format]) == 1 else f"{format} {weights}"


def every() -> dict[str, Format]:
    """Return label -> format of all."""
    return {label(name, weights): kind for name, kinds in FORMATS.items() for weights, kind in kinds.items()}


def missing(format: Format) -> str | None:
    """Return what to install for a format, None if all is there."""
    extras = {extra for module, extra in format.packages if importlib.util.find_spec(module) is None}
    return f"pip install 'tf_lottery[{','.join(sorted(extras))}]'" if extras else None
