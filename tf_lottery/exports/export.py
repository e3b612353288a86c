"""`export`: write a trained model, verify it in a fresh process, measure it, and move it to its place."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.exports import place
from tf_lottery.exports.contents import REPORT, files_of, report_path
from tf_lottery.exports.formats import registry
from tf_lottery.exports.formats.keras_file import compacted
from tf_lottery.exports.formats.registry import Format
from tf_lottery.exports.measure import BATCHES, Measurement
from tf_lottery.exports.recurrent import from_initial_state
from tf_lottery.exports.source import check_model, fill_zeros, make_source
from tf_lottery.exports.words.report import Report
from tf_lottery.exports.words.rows import ExportRow

ALL = "all"


def export(
    model: keras.Model,
    path: str | Path,
    format: str = "savedmodel",
    weights: str | None = None,
    *,
    test_data: Any = None,
    train_data: Any = None,
    pixels: bool = False,
    classes: Sequence[str] = (),
    warmup: bool = False,
    compact: bool = False,
    original: keras.Model | None = None,
    accuracy_loss: float = 0.003,
    force: bool = False,
    latency: bool = True,
    threads: int = 1,
    provenance: Mapping[str, Any] | None = None,
    noted: Callable[[str], None] = lambda line: None,
) -> Report:
    """Write a trained sparse model as a file that can be served, and report its size, accuracy and speed.

    The file is loaded in a fresh process, run on the test examples and compared with the model. Then its
    latency is measured in turns with the dense original's, in the same runtime. A file whose outputs have
    NaN, another shape or a lower accuracy is refused: it is kept under another name and does not count.

    | format | weights | |
    |---|---|---|
    | `savedmodel` | `packed` | surviving values and their positions; made dense once, when it is loaded |
    | | `dense` | every variable once |
    | `compact` | | `.keras`, without dead units |
    | `litert` | `float`, `sparse`, `dynamic`, `int8`, `int8_qat` | `.tflite` |
    | `onnx`, `openvino` | | |
    | `all` | | all of these, in one directory |

    Args:
        model: A trained plain Keras model, zeros baked in, as `strip` or a search's `trained()` returns it.
        path: The file to write, or the directory (`savedmodel`, `openvino`, `all`).
        format: The format, a name from the table above.
        weights: The kind of weights, from the table above. Default: the first one of the format.
        test_data: Real inputs to verify the file on: `(x, y)` or `x`, as arrays (several inputs as a list or
            by name). Default: random inputs, and no accuracy.
        train_data: `(x, y)`, from which `int8` reads the ranges of activations (x alone is enough), and on
            which `int8_qat` trains.
        pixels: Whether the exported file takes `uint8` pixels and scales them by 1/255 itself.
        classes: The names of the classes. A SavedModel then returns `classes` and `labels`, too.
        warmup: Whether to put requests made of the test examples into a SavedModel, for TensorFlow Serving.
        compact: Whether to remove dead units first, in every format (`lottery.compact`).
        original: The trained dense network, for comparing size and speed. Default: the model with its zeros
            filled, which costs the same.
        accuracy_loss: The fraction of test accuracy that 8-bit formats may lose before they are refused.
        force: Whether to replace an earlier export, in one step, once the new one is verified. A directory is
            replaced only if its report lists every file in it, unchanged.
        latency: Whether to measure latency.
        threads: The number of threads of each runtime.
        provenance: Where the model comes from, for the report.
        noted: A function that is called with a line of text before each step.

    Returns:
        The report. It is also written beside the export, as `<name>.report.json`.

    Raises:
        LotteryError: If the format is unknown; if the path exists and `force` is not set; if the model is a
            ticket without training or a prunable model; if the format lacks an operation; if the export was
            refused. Existing files are then left as they are.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> hidden = keras.layers.Dense(100, "relu")
        >>> model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(3)])
        >>> model = lottery.make_prunable(model)
        >>> lottery.prune(model, rate=0.9)
        >>> report = lottery.export(lottery.strip(model), "small", latency=False)
        >>> report.rows[0].verified.identical
        True
    """
    if isinstance(classes, str):
        raise LotteryError(f"Expected classes as a list of names. Received: {classes!r}")
    if not isinstance(latency, bool):
        raise LotteryError(f"Expected latency as True or False. Received: {latency!r}")
    if not 1 <= threads <= 1024 or not 0 <= accuracy_loss <= 1:
        raise LotteryError(
            "Expected threads from 1 to 1024, and accuracy_loss as a fraction from 0 to 1. "
            f"Received: {threads} and {accuracy_loss}"
        )
    path = Path(path)
    chosen = _chosen(path, format, weights, bool(classes) or warmup)
    place.check(path, force)
    source = make_source(model, test_data, train_data, pixels, classes, warmup)
    source = replace(source, noted=noted)
    if compact:
        source = compacted(source)
    _ = source.outputs  # raises now if the model has no outputs to compare an export with
    with from_initial_state(model):
        dense, original_name = _dense_original(model, original)
    with place.temporary_beside(path) as temporary, warnings.catch_warnings(), from_initial_state(model):
        warnings.simplefilter("ignore")  # converters warn about their own internals
        measurement = Measurement(source, source.of(dense), temporary / "work", threads, noted)
        made = temporary / "made"
        made.mkdir()
        rows: list[ExportRow] = []
        for number, (name, kind) in enumerate(chosen.items(), 1):
            measurement.stage = f"{number} of {len(chosen)}, "
            kind = _with_loss(kind, accuracy_loss)
            target = made / (kind.file if format == ALL else path.name)
            row = _row_if_not_needed(name, kind, rows) if format == ALL else None
            rows.append(row or measurement.make(name, kind, target))
        if latency:
            rows = measurement.with_latency(rows, made, BATCHES)
        report = Report(
            rows,
            model.name,
            measurement.cost,
            source.count,
            source.real,
            original_name,
            measurement.environment(),
            dict(provenance or {}),
            compact and source.plain.count_params() < model.count_params(),
        )
        place.check(path, force)  # another process may have written there in the meantime
        if format == ALL:
            return _put_all(report, made, path)
        return _put_one(report, made / path.name, path)


def _dense_original(model: keras.Model, original: keras.Model | None) -> tuple[keras.Model, str]:
    """Return the dense original and a description of it."""
    if original is not None:
        check_model(original)
        return original, "the network before pruning"
    if (dense := fill_zeros(model)) is not None:
        return dense, "the model with its zeros filled"
    return model, "the model itself, since Keras can't copy it"


def _chosen(path: Path, format: str, weights: str | None, asks_for_savedmodel: bool) -> dict[str, Format]:
    if format == ALL:
        if weights is not None:
            raise LotteryError(
                f"Format 'all' writes all weights. Leave weights={weights!r} out, or name one format."
            )
        _check_directory(ALL, path)
        return registry.every()
    name, kind = registry.find(format, weights)
    suffix = Path(kind.file).suffix
    if path.suffix != suffix and suffix:
        raise LotteryError(f"Expected a path that ends in {suffix} for {name}. Received: {path}")
    if not suffix:
        _check_directory(name, path)
    if asks_for_savedmodel and format != "savedmodel":
        raise LotteryError(
            f"Only a SavedModel can hold classes and warmup, not {format}. "
            "Leave them out, or use format 'savedmodel'."
        )
    return {name: kind}


def _check_directory(name: str, path: Path) -> None:
    """Refuse to replace a file by a directory: the file can't be an earlier export of this format."""
    if path.is_file():
        raise LotteryError(f"{name} is written as a directory, and {path} is a file. Choose another path.")


def _with_loss(kind: Format, accuracy_loss: float) -> Format:
    if kind.limits.accuracy < registry.INTEGER.accuracy:
        return kind
    return replace(kind, limits=replace(kind.limits, accuracy=accuracy_loss))


def _row_if_not_needed(name: str, kind: Format, rows: Sequence[ExportRow]) -> ExportRow | None:
    """Return a row that skips quantization-aware training where plain quantization keeps the accuracy."""
    int8 = next((row for row in rows if row.name == "litert int8"), None)
    if name != "litert int8_qat" or int8 is None or int8.status != "verified":
        return None
    measured = int8.verified
    if measured is None or measured.accuracy is None or measured.source_accuracy is None:
        return None
    if measured.source_accuracy - measured.accuracy > kind.limits.accuracy / 2:
        return None
    lost = 100 * (measured.source_accuracy - measured.accuracy)
    loses = f"{lost:.2f} points" if lost > 0 else "nothing"
    return ExportRow(
        name,
        "not made",
        kind.runtime,
        reason=f"not needed: litert int8 loses {loses} (format litert, weights int8_qat writes it)",
    )


def _put_one(report: Report, made: Path, path: Path) -> Report:
    (row,) = report.rows
    if row.status == "not made":
        raise LotteryError(row.reason)
    if row.status == "refused":
        refused = place.keep_refused(made, path)
        raise LotteryError(
            f"The export as {row.name} was refused: {row.reason}. It is kept in {refused}, and nothing was "
            f"written to {path}. Fix the cause, or choose another format."
        )
    place.put(made, path)
    report = replace(report, rows=[replace(row, path=str(path))], files=files_of(path))
    report.save(report_path(path))
    return report


def _put_all(report: Report, made: Path, path: Path) -> Report:
    rows = []
    for row in report.rows:
        kind = registry.every()[row.name]
        if row.status == "refused":
            refused = place.keep_refused(made / kind.file, made / kind.file)
            rows.append(replace(row, path=str(path / refused.name)))
        else:
            rows.append(replace(row, path=str(path / kind.file)) if row.status == "verified" else row)
    report = replace(report, rows=rows)
    if not report.verified:
        raise LotteryError(
            "No format could be exported and verified, so nothing was written. Fix the causes: "
            f"{'; '.join(f'{row.name}: {row.reason}' for row in rows)}"
        )
    (made / "report.txt").write_text(str(report) + "\n", encoding="utf-8")
    report = replace(report, files=files_of(made))
    report.save(made / REPORT)
    place.put(made, path)
    return report
