"""`export` as a whole: on real data, into a fresh process, into its place."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tests.exports.models import dense_net
from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats import litert, registry
from tf_lottery.exports.verify.verify import FreshProcess
from tf_lottery.store.environment import environment

QUICK = {"latency": False}


def data(digits):
    return {"test_data": (digits.test.x, digits.test.y), "train_data": (digits.train.x, digits.train.y)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"format": "pb"},
            "Expected format as one of savedmodel, compact, litert, onnx, openvino. Received: 'pb'",
        ),
        (
            {"weights": "int4"},
            "Expected weights of format savedmodel as one of packed, dense. Received: 'int4'",
        ),
        (
            {"format": "all", "weights": "int8"},
            "Format 'all' writes all weights. Leave weights='int8' out",
        ),
        ({"classes": "abc"}, "Expected classes as a list of names. Received: 'abc'"),
        ({"threads": 0}, "Expected threads from 1 to 1024, .* Received: 0 and 0.003"),
        ({"accuracy_loss": 5}, "accuracy_loss as a fraction from 0 to 1. Received: 1 and 5"),
        ({"original": lottery.make_prunable(dense_net())}, "which is prunable. Use lottery.strip"),
        ({"format": "litert"}, r"Expected a path that ends in .tflite for litert float. Received: .*out"),
        (
            {"format": "onnx", "warmup": True, "path": "m.onnx"},
            "Only a SavedModel can hold classes and warmup, not onnx",
        ),
    ],
)
def test_bad_calls_are_refused_before_anything_is_written(arguments, said, tmp_path):
    path = tmp_path / arguments.pop("path", "out")
    with pytest.raises(LotteryError, match=said):
        lottery.export(dense_net(), path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_litert_whole(ticket, digits, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "models" / "digits.tflite"
    noted = []
    report = lottery.export(
        ticket,
        path,
        "litert",
        "int8",
        **data(digits),
        accuracy_loss=0.02,  # of 397 test examples
        provenance={"study": "by hand"},
        noted=noted.append,
    )
    (row,) = report.rows
    assert row.status == "verified"
    assert row.path == str(path)
    assert row.bytes == path.stat().st_size < row.dense_bytes
    assert abs(row.verified.accuracy - row.verified.source_accuracy) <= 0.02
    zeros = {name: int((kernel == 0).sum()) for name, kernel in zip(row.zeros, _kernels(ticket), strict=True)}
    assert row.zeros == zeros
    assert set(row.latency) == set(row.dense_latency) == {"1", "32", "256"}
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "digits.tflite",
        "digits.tflite.report.json",
    ]
    written = json.loads((path.parent / "digits.tflite.report.json").read_text())
    assert written["rows"][0]["bytes"] == row.bytes
    assert written["provenance"] == {"study": "by hand"}
    assert written["words"]
    assert "litert int8" in str(report)
    assert any("fresh process" in line for line in noted)


def _kernels(model):
    return [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]


def test_whatever_provenance_and_outputs_are_called(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"file": keras.layers.Dense(2)(inputs), "b": keras.layers.Dense(3)(inputs)})
    report = lottery.export(model, tmp_path / "m", provenance={"seed": np.int64(3)}, compact=True, **QUICK)
    assert report.rows[0].verified.identical
    saved = json.loads((tmp_path / "m.report.json").read_text())
    assert saved["provenance"] == {"seed": "3"}
    assert not saved["compact"]  # nothing was dead
    assert saved["environment"].items() >= environment().items()


def test_what_is_there_is_refused_and_replaced_only_when_asked(ticket, digits, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "m.tflite"
    path.write_bytes(b"mine")
    with pytest.raises(LotteryError, match="already exists. Use --force"):
        lottery.export(ticket, path, "litert", **data(digits), **QUICK)
    assert path.read_bytes() == b"mine"
    lottery.export(ticket, path, "litert", **data(digits), **QUICK, force=True)
    assert path.read_bytes()[4:8] == b"TFL3"


@pytest.mark.parametrize("what", ["nan", "shape", "accuracy", "zeros"])
def test_a_file_that_isn_t_the_model_is_set_aside(what, ticket, digits, tmp_path, monkeypatch):
    """A converter that spoils the model: the file doesn't come to its place, what was there stays."""
    pytest.importorskip("ai_edge_litert")

    def spoilt(source, path):
        model = keras.models.clone_model(ticket)
        model.set_weights(ticket.get_weights())
        last = model.layers[-1]
        if what == "nan":
            last.bias.assign(last.bias.numpy() * np.nan)
        if what == "accuracy":
            outputs = ticket(digits.test.x).numpy()
            last.bias.assign(last.bias.numpy() + 0.7 * outputs.std() * np.eye(10)[3])
        if what == "zeros":
            kernel = last.kernel.numpy()
            kernel[np.unravel_index(np.argmin(abs(kernel)), kernel.shape)] = 0.5
            last.kernel.assign(kernel)
        if what == "shape":
            model = keras.Sequential([*model.layers, keras.layers.Dense(3)])
            model.build((None, 8, 8, 1))
        litert.write_float(source.of(model), path)

    kind = registry.FORMATS["litert"]["dynamic"]
    monkeypatch.setitem(registry.FORMATS["litert"], "dynamic", replace(kind, write=spoilt))
    path = tmp_path / "m.tflite"
    path.write_bytes(b"mine")
    said = {
        "nan": "NaN or infinity",
        "shape": r"other shapes: outputs \(397, 3\) instead of \(397, 10\)",
        "accuracy": "its test accuracy is",
        "zeros": "1 of .* that became nonzero",
    }[what]
    with pytest.raises(LotteryError, match=f"was refused: .*({said}).* It is kept in .*m.refused.tflite"):
        lottery.export(ticket, path, "litert", "dynamic", **data(digits), **QUICK, force=True)
    assert path.read_bytes() == b"mine"
    assert (tmp_path / "m.refused.tflite").exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.refused.tflite", "m.tflite"]


def test_a_failure_leaves_nothing_behind(ticket, digits, tmp_path, monkeypatch):
    kind = registry.FORMATS["savedmodel"]["packed"]

    def failing(source, path):
        path.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setitem(registry.FORMATS["savedmodel"], "packed", replace(kind, write=failing))
    with pytest.raises(KeyboardInterrupt):
        lottery.export(ticket, tmp_path / "m", **data(digits), **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_packages_that_are_not_there_are_named(ticket, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LotteryError, match=r"Use pip install 'tf_lottery\[onnx\]'"):
        lottery.export(ticket, tmp_path / "m.onnx", "onnx", **data(digits), **QUICK)


@pytest.mark.slow
def test_all_formats_and_their_report(conv_ticket, digits, tmp_path):
    report = lottery.export(conv_ticket, tmp_path / "out", "all", **data(digits), accuracy_loss=0.02)
    assert [row.name for row in report.rows] == list(registry.every())
    by_name = {row.name: row for row in report.rows}
    qat = by_name.pop("litert int8_qat")
    assert qat.status == "verified" or "not needed: litert int8 loses" in qat.reason
    assert {row.status for row in by_name.values()} == {"verified"}, report
    for row in report.verified:
        assert set(row.latency) == set(row.dense_latency) == {"1", "32", "256"}
        assert (tmp_path / "out" / registry.every()[row.name].file).exists()
    assert by_name["savedmodel packed"].verified.identical
    # So small that packing would cost more than it saves.
    assert by_name["savedmodel packed"].bytes < by_name["savedmodel dense"].bytes + 200
    assert json.loads((tmp_path / "out" / "report.json").read_text())["rows"]
    text = (tmp_path / "out" / "report.txt").read_text()
    assert "For a server, take savedmodel packed for TensorFlow Serving" in text
    assert "That comes from the runtime, not from the zeros." in text
    before = (tmp_path / "out" / "report.json").read_text()
    with pytest.raises(LotteryError, match="already exists. Use --force"):
        lottery.export(conv_ticket, tmp_path / "out", "all", **data(digits), **QUICK)
    assert (tmp_path / "out" / "report.json").read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_one_format_s_refusal_doesn_t_stop_the_others(digits, tmp_path):
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, keras.ops.erfinv(keras.layers.Dense(4, "tanh")(inputs) / 2))
    report = lottery.export(model, tmp_path / "out", "all", **QUICK)
    status = {row.name: row.status for row in report.rows}
    assert status["savedmodel dense"] == "verified"
    assert status["onnx"] == status["litert float"] == "not made"
    assert "ranges of activations from train_data" in report.find("litert int8").reason
    shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("format", ["savedmodel", "openvino", "all"])
def test_a_directory_never_takes_a_file_s_place(ticket, format, tmp_path):
    thesis = tmp_path / "thesis.keras"
    thesis.write_text("years")
    with pytest.raises(LotteryError, match="is written as a directory, and .*thesis.keras is a file. Choose"):
        lottery.export(ticket, thesis, format, force=True)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.keras"]
    assert thesis.read_text() == "years"


def half_written(source, path):
    path.mkdir()
    (path / "half").write_text("x")
    raise ValueError("a layer that nobody\nforesaw")


@pytest.mark.slow
def test_what_fails_halfway_leaves_nothing_in_all(ticket, monkeypatch, tmp_path):
    every = registry.every()
    kinds = {name: every[name] for name in ("litert float", "openvino")}
    kinds["openvino"] = replace(kinds["openvino"], write=half_written, packages=())
    monkeypatch.setattr(registry, "every", lambda: kinds)
    report = lottery.export(ticket, tmp_path / "out", "all", **QUICK)
    reason = report.find("openvino").reason
    assert reason.endswith(" as openvino failed: ValueError: a layer that nobody foresaw")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "litert_float.tflite",
        "report.json",
        "report.txt",
    ]


def test_what_another_one_put_there_meanwhile_is_left_alone(ticket, monkeypatch, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "m.tflite"

    def noted(line):
        path.write_text("the other one's")

    with pytest.raises(LotteryError, match="already exists. Use --force"):
        lottery.export(ticket, path, "litert", **QUICK, noted=noted)
    assert path.read_text() == "the other one's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dense_original_that_can_t_be_written_leaves_its_columns_empty(ticket, tmp_path):
    pytest.importorskip("ai_edge_litert")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    report = lottery.export(ticket, tmp_path / "m.tflite", "litert", **QUICK, original=other)
    assert report.rows[0].dense_bytes is None
    assert "litert float" in str(report)


def test_what_isn_t_to_be_timed_isn_t(tmp_path, monkeypatch):
    def never(*arguments):
        raise AssertionError

    monkeypatch.setattr(FreshProcess, "latency", never)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    report = lottery.export(model, tmp_path / "m", latency=False)
    assert (report.rows[0].latency, report.rows[0].dense_latency) == ({}, {})
    assert "not measured" in str(report)
    with pytest.raises(LotteryError, match="Expected latency as True or False. Received: 'no'"):
        lottery.export(model, tmp_path / "n", latency="no")
