"""`export`: writes a trained model, verifies it in a fresh process, measures it, puts it in its place."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.exports import place
from tf_lottery.exports.contents import REPORT, beside, files_of
from tf_lottery.exports.formats import registry
from tf_lottery.exports.formats.keras_file import compacted
from tf_lottery.exports.formats.registry import Format
from tf_lottery.exports.measure import BATCHES, Measurement
from tf_lottery.exports.recurrent import from_initial_state
from tf_lottery.exports.source import check_model, filled, make_source
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
    """Write a trained sparse model as a file to serve, and say what it is worth.

    The file is loaded in a fresh process, run on the test examples and held against the model; then its
    latency is measured beside the dense original's in the same runtime, taking turns. A file that
    answers NaN, another shape or another accuracy is set aside, and doesn't count.

    | format | weights | |
    |---|---|---|
    | `savedmodel` | `packed` | surviving values and where they are; made dense once, when it is loaded |
    | | `dense` | every variable once |
    | `compact` | | `.keras`, without the units that are dead |
    | `litert` | `float`, `sparse`, `dynamic`, `int8`, `int8_qat` | `.tflite` |
    | `onnx`, `openvino` | | |
    | `all` | | each of these, into one directory |

    Args:
        model: a trained plain Keras model, zeros baked in: of `strip`, of a search's `trained()`.
        path: of the file, or of the directory (`savedmodel`, `openvino`, `all`).
        format: see above.
        weights: see above. Default: the first.
        test_data: `(x, y)` or `x`: real inputs to verify it on, as arrays (several inputs: a list, or by
            name). Default: random ones, and no accuracy.
        train_data: `(x, y)`: what `int8` reads the ranges of activations from (x alone will do), and
            `int8_qat` trains on.
        pixels: the exported file takes `uint8` pixels and scales them by 1/255 itself.
        classes: their names; a SavedModel then answers `classes` and `labels`, too.
        warmup: put requests of the test examples into a SavedModel, for TensorFlow Serving.
        compact: remove dead units first, in every format (`lottery.compact`).
        original: the trained dense network, to compare size and speed with. Default: the model with its zeros
            filled, which costs the same.
        accuracy_loss: fraction of test accuracy that 8-bit formats may lose; more is refused.
        force: replace an earlier export, in one step, once the new one is verified. A directory is replaced
            only if its report lists all that is in it, as it is.
        latency: whether to measure it.
        threads: of each runtime.
        provenance: where the model comes from, for the report.
        noted: hears what is being done.

    Returns:
        The report; it lies beside the export, too, as `<name>.report.json`.

    Raises:
        LotteryError: an unknown format; something at that path, without `force`; a ticket that isn't
            trained, a prunable model; operations that the format doesn't have; an export that was
            refused. Nothing that was there is touched.

    Example:
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
    _ = source.outputs  # refused here, if it has none to hold an export against
    with from_initial_state(model):
        dense, about = _dense(model, original)
    with place.beside(path) as temporary, warnings.catch_warnings(), from_initial_state(model):
        warnings.simplefilter("ignore")  # of converters, about what they do within
        measurement = Measurement(source, source.of(dense), temporary / "work", threads, noted)
        made = temporary / "made"
        made.mkdir()
        rows = []
        for number, (name, kind) in enumerate(chosen.items(), 1):
            measurement.stage = f"{number} of {len(chosen)}, "
            kind = _with_loss(kind, accuracy_loss)
            target = made / (kind.file if format == ALL else path.name)
            row = _skipped(name, kind, rows) if format == ALL else None
            rows.append(row or measurement.make(name, kind, target))
        if latency:
            rows = measurement.timed(rows, made, BATCHES)
        report = Report(
            rows,
            model.name,
            measurement.cost,
            source.count,
            source.real,
            about,
            measurement.environment(),
            dict(provenance or {}),
            compact and source.plain.count_params() < model.count_params(),
        )
        place.check(path, force)  # another one may have put something there meanwhile
        if format == ALL:
            return _put_all(report, made, path)
        return _put_one(report, made / path.name, path)


def _dense(model: keras.Model, original: keras.Model | None) -> tuple[keras.Model, str]:
    """Return the dense original and what it is."""
    if original is not None:
        check_model(original)
        return original, "the network before pruning"
    if (dense := filled(model)) is not None:
        return dense, "the model with its zeros filled"
    return model, "the model itself, since Keras can't copy it"


def _chosen(path: Path, format: str, weights: str | None, asks_for_savedmodel: bool) -> dict[str, Format]:
    if format == ALL:
        if weights is not None:
            raise LotteryError(f"Expected no weights with format 'all'. Received: {weights!r}")
        _check_directory(ALL, path)
        return registry.every()
    name, kind = registry.find(format, weights)
    suffix = Path(kind.file).suffix
    if path.suffix != suffix and suffix:
        raise LotteryError(f"Expected a path that ends in {suffix} for {name}. Received: {path}")
    if not suffix:
        _check_directory(name, path)
    if asks_for_savedmodel and format != "savedmodel":
        raise LotteryError(f"Expected format savedmodel for classes and warmup. Received: {format}")
    return {name: kind}


def _check_directory(name: str, path: Path) -> None:
    """A file is never replaced by a directory: it can't be an earlier export of this format."""
    if path.is_file():
        raise LotteryError(
            f"Expected the path of a directory for {name}. Received: {path}, a file. Choose another path."
        )


def _with_loss(kind: Format, accuracy_loss: float) -> Format:
    if kind.limits.accuracy < registry.INTEGER.accuracy:
        return kind
    return replace(kind, limits=replace(kind.limits, accuracy=accuracy_loss))


def _skipped(name: str, kind: Format, rows: Sequence[ExportRow]) -> ExportRow | None:
    """Quantization-aware training is for where quantization after training loses accuracy."""
    before = next((row for row in rows if row.name == "litert int8"), None)
    if name != "litert int8_qat" or before is None or before.status != "verified":
        return None
    found = before.verified
    if found.accuracy is None or found.source_accuracy - found.accuracy > kind.limits.accuracy / 2:
        return None
    lost = 100 * (found.source_accuracy - found.accuracy)
    return ExportRow(
        name,
        "not made",
        kind.runtime,
        reason=f"not needed: litert int8 loses {lost:.2f} points (format litert, weights int8_qat makes it)",
    )


def _put_one(report: Report, made: Path, path: Path) -> Report:
    (row,) = report.rows
    if row.status == "not made":
        raise LotteryError(row.reason)
    if row.status == "refused":
        aside = place.set_aside(made, path)
        raise LotteryError(
            f"Expected an export that answers as its source. Received: {row.name}, refused: {row.reason}. "
            f"It lies in {aside}; {path} isn't touched."
        )
    place.put(made, path)
    report = replace(report, rows=[replace(row, path=str(path))], files=files_of(path))
    report.save(beside(path))
    return report


def _put_all(report: Report, made: Path, path: Path) -> Report:
    rows = []
    for row in report.rows:
        kind = registry.every()[row.name]
        if row.status == "refused":
            aside = place.set_aside(made / kind.file, made / kind.file)
            rows.append(replace(row, path=str(path / aside.name)))
        else:
            rows.append(replace(row, path=str(path / kind.file)) if row.status == "verified" else row)
    report = replace(report, rows=rows)
    if not report.verified:
        raise LotteryError(
            f"Expected at least one export that answers as its source. Received: "
            f"{'; '.join(f'{row.name}: {row.reason}' for row in rows)}"
        )
    (made / "report.txt").write_text(str(report) + "\n", encoding="utf-8")
    report = replace(report, files=files_of(made))
    report.save(made / REPORT)
    place.put(made, path)
    return report
