"""The judgement on answers, and the fresh process that gives them."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.litert import write_float, write_int8
from tf_lottery.exports.formats.registry import EXACT, FLOAT, INTEGER
from tf_lottery.exports.formats.saved_model import write_packed
from tf_lottery.exports.source import make_source
from tf_lottery.exports.verify import runner, verify
from tf_lottery.exports.verify.verify import FreshProcess, compare_outputs

MEASURED = {"load_seconds": 0.1, "peak_memory_bytes": 2, "memory_of_model_bytes": 1}
LOGITS = np.random.default_rng(0).standard_normal((2000, 10)).astype(np.float32)
LABELS = LOGITS.argmax(1)


def judged(answers, limits=FLOAT, labels=LABELS, name="outputs"):
    return compare_outputs(MEASURED, {name: answers}, {"outputs": LOGITS}, labels, limits)


def test_the_same_bits_are_identical():
    found = judged(LOGITS.copy(), EXACT)
    assert found.refused is None
    assert found.identical
    assert found.difference == 0
    assert (found.accuracy, found.source_accuracy, found.same_class) == (1, 1, 1)


def test_nearly_the_same_isn_t_identical():
    found = judged(LOGITS + np.float32(1e-5))
    assert found.refused is None
    assert not found.identical
    assert judged(LOGITS + np.float32(1e-4), EXACT).refused.startswith("its outputs differ by up to")


def test_nan_is_refused():
    answers = LOGITS.copy()
    answers[1999, 3] = np.nan
    for limits in (EXACT, FLOAT, INTEGER):
        assert "NaN or infinity" in judged(answers, limits).refused


def test_another_shape_is_refused():
    reason = "its outputs have other shapes: outputs (2000, 9) instead of (2000, 10)"
    assert judged(LOGITS[:, :9]).refused == reason
    found = compare_outputs(MEASURED, {}, {"outputs": LOGITS}, None, FLOAT)
    assert found.refused == "its outputs have other shapes: no outputs"


def test_a_loss_of_accuracy_is_refused():
    wrong = LOGITS.copy()
    wrong[:7] = wrong[:7, ::-1]  # the other end of the row is largest now
    assert judged(wrong, INTEGER).refused == "its test accuracy is 99.65%, the source's 100.00%"
    wrong[:1] = LOGITS[:1]
    assert judged(wrong, INTEGER).refused is None


def test_one_example_of_a_small_test_set_may_be_lost():
    few, labels = LOGITS[:50], LABELS[:50]
    for lost, refused in ((1, False), (2, True)):
        wrong = few.copy()
        wrong[:lost] = wrong[:lost, ::-1]
        found = compare_outputs(MEASURED, {"outputs": wrong}, {"outputs": few}, labels, INTEGER)
        assert (found.refused is not None) is refused


def test_without_labels_the_outputs_themselves_are_held_against_each_other():
    noisy = LOGITS + np.random.default_rng(1).normal(0, 0.4, LOGITS.shape).astype(np.float32)
    found = judged(noisy, INTEGER, labels=None)
    assert found.accuracy is None
    assert "of their standard deviation" in found.refused
    assert judged(LOGITS + np.float32(0.1), INTEGER, labels=None).refused is None


def test_other_names_are_taken_in_order_and_one_hot_labels_are_labels():
    assert judged(LOGITS, EXACT, np.eye(10)[LABELS].astype(int), "StatefulPartitionedCall:0").accuracy == 1


def test_constant_zeros_have_no_division_by_zero():
    zeros = np.zeros((5, 1), np.float32)
    found = compare_outputs(MEASURED, {"outputs": zeros}, {"outputs": zeros}, None, EXACT)
    assert found.refused is None
    assert found.rms == 0


def test_litert_files_run_in_a_process_without_tensorflow(ticket, digits, tmp_path):
    pytest.importorskip("ai_edge_litert")
    source = make_source(ticket, (digits.test.x, digits.test.y), (digits.train.x, digits.train.y))
    write_float(source, tmp_path / "float.tflite")
    write_int8(source, tmp_path / "int8.tflite")
    process = FreshProcess(tmp_path, source.examples, 1)
    for name, limits in (("float", FLOAT), ("int8", replace(INTEGER, accuracy=0.02))):
        measured, answers = process.load_and_run("litert", tmp_path / f"{name}.tflite")
        found = compare_outputs(measured, answers, source.outputs, source.labels, limits)
        assert found.refused is None
        assert found.source_accuracy > 0.85
        assert measured["imported"] == []
        assert 0 < found.memory_of_model_bytes < found.peak_memory_bytes
    times = process.latency("litert", {n: tmp_path / f"{n}.tflite" for n in ("float", "int8")}, [1, 32], 0.1)
    assert all(seconds > 0 for found in times.values() for seconds in found.values())
    assert [list(found) for found in times.values()] == [["1", "32"]] * 2


def test_a_file_that_can_t_be_loaded_is_refused_in_one_line(tmp_path):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "broken.tflite").write_bytes(b"TFL3" * 50)
    process = FreshProcess(tmp_path, {"inputs": np.zeros((2, 3), np.float32)}, 1)
    with pytest.raises(LotteryError, match="litert can't load or run the file in a fresh process") as caught:
        process.load_and_run("litert", tmp_path / "broken.tflite")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limits", [EXACT, FLOAT, INTEGER])
def test_each_output_is_held_against_its_own_size(limits):
    prices = np.linspace(0, 1e5, 50, dtype=np.float32)[:, None]
    expected = {"price": prices, "probability": prices / 1e5}
    wrong = expected | {"probability": 1 - expected["probability"]}
    assert compare_outputs(MEASURED, expected, expected, None, limits).refused is None
    assert "differ by" in compare_outputs(MEASURED, wrong, expected, None, limits).refused


def test_two_classes_of_one_output():
    logits = LOGITS[:, :1]
    labels = (logits > 0).astype(int)
    for expected, middle in ((logits, 0.0), (1 / (1 + np.exp(-logits)), 0.5)):
        found = compare_outputs(MEASURED, {"outputs": expected}, {"outputs": expected}, labels, EXACT)
        assert (found.accuracy, found.same_class) == (1, 1)
        spoilt = np.where(np.arange(len(expected))[:, None] < 20, 2 * middle - expected, expected)
        found = compare_outputs(MEASURED, {"outputs": spoilt}, {"outputs": expected}, labels.ravel(), INTEGER)
        assert found.refused == "its test accuracy is 99.00%, the source's 100.00%"
    assert compare_outputs(MEASURED, {"outputs": logits}, {"outputs": logits}, logits, EXACT).accuracy is None


@pytest.mark.slow
def test_a_saved_model_loads_where_there_is_no_keras(ticket, digits, tmp_path):
    source = make_source(ticket, digits.test.x[:5])
    write_packed(source, tmp_path / "m")
    code = f"""
import sys
sys.modules.update(keras=None, tf_keras=None, tf_lottery=None)  # importing them raises
import numpy as np, tensorflow as tf
function = tf.saved_model.load({str(tmp_path / "m")!r}).signatures["serving_default"]
x = tf.constant(np.load({str(tmp_path / "x.npy")!r}))
np.save({str(tmp_path / "y.npy")!r}, function(inputs=x)["outputs"])
"""
    np.save(tmp_path / "x.npy", digits.test.x[:5])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-400:]
    assert np.array_equal(np.load(tmp_path / "y.npy"), source.outputs["outputs"])


@pytest.mark.slow
def test_a_saved_model_needs_neither_keras_nor_us(ticket, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "subprocess", subprocess)  # a process that begins from nothing
    source = make_source(ticket, (digits.test.x, digits.test.y))
    write_packed(source, tmp_path / "m")
    measured, answers = FreshProcess(tmp_path, source.examples, 1).load_and_run("tensorflow", tmp_path / "m")
    found = compare_outputs(measured, answers, source.outputs, source.labels, EXACT)
    assert found.identical
    assert found.graph_session is True
    assert measured["imported"] == []
    assert found.peak_memory_bytes > 100e6


def test_the_runner_stands_alone():
    from tf_lottery.exports.verify.verify import RUNNER

    text = RUNNER.read_text()
    assert "tf_lottery." not in text.replace("tf_lottery.\n", "")
    assert not {name for name in sys.stdlib_module_names if name == RUNNER.stem}


def test_outputs_that_aren_t_classes_have_no_accuracy():
    """A regression's targets may have the outputs' shape; their largest is no class."""
    assert judged(LOGITS, EXACT, LOGITS).accuracy is None
    assert judged(LOGITS, EXACT, np.ones_like(LOGITS)).accuracy is None


def test_an_input_may_have_any_name(tmp_path):
    process = FreshProcess(tmp_path, {"file": LOGITS[:3], "allow_pickle": LOGITS[:3]}, 1)
    with np.load(process._inputs, allow_pickle=False) as found:
        assert sorted(found.files) == ["allow_pickle", "file"]
        assert np.array_equal(found["file"], LOGITS[:3])


def test_a_session_may_fold_constants_in_another_order():
    assert runner._same(LOGITS + np.float32(1e-7), LOGITS)
    assert not runner._same(LOGITS + np.float32(1e-4), LOGITS)
    assert not runner._same(LOGITS[:5], LOGITS)


class Fake:
    """A runtime whose calls are free, so that only what the clock says counts."""

    def __init__(self, path, threads):
        pass

    def prepare(self, inputs):
        return dict


@pytest.mark.parametrize(
    ("times", "turns"),
    [
        ([0.02], 5),  # steady: the least
        ([0.02, 0.0201, 0.0199], 5),
        ([0.02, 0.03], 20),  # restless: to the end, which is when the seconds are spent
    ],
)
def test_timing_ends_when_it_knows_enough(times, turns, tmp_path, monkeypatch):
    taken = []

    def clock(call, repeats):
        taken.append(times[len(taken) // 2 % len(times)])
        return taken[-1]

    monkeypatch.setattr(runner, "RUNTIMES", {"fake": Fake})
    monkeypatch.setattr(runner, "_seconds", clock)
    np.savez(tmp_path / "x.npz", inputs=np.zeros((4, 2)))
    job = {"runtime": "fake", "files": {"a": "", "b": ""}, "inputs": tmp_path / "x.npz", "threads": 1}
    found = runner._time(job | {"latency": {"batches": [1], "seconds": 0.8}})
    assert (len(taken) - 4) / 2 == turns
    assert 0.02 <= found["latency"]["a"]["1"] <= 0.025
