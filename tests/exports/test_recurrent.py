"""Recurrent layers: unrolled for LiteRT, their state from call to call in SavedModels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.exports.recurrent import fixed_batch, from_initial_state, recurrent, states_of, unrolled

L = keras.layers
LAYERS = {
    "lstm": lambda: L.LSTM(6),
    "gru": lambda: L.GRU(6),
    "simple": lambda: L.SimpleRNN(6),
    "both ways": lambda: L.Bidirectional(L.LSTM(6)),
    "cells": lambda: L.RNN([L.LSTMCell(4), L.GRUCell(5)]),
}


def network(layer, steps=3, features=3):
    return keras.Sequential([keras.Input((steps, features)), layer, L.Dense(2)])


def half_pruned(model):
    prunable = lottery.make_prunable(model)
    lottery.prune(prunable, rate=0.5)
    return lottery.strip(prunable)


@pytest.mark.parametrize("layer", LAYERS)
def test_litert_takes_them_unrolled(layer, tmp_path):
    pytest.importorskip("ai_edge_litert")
    model = half_pruned(network(LAYERS[layer]()))
    x = np.random.default_rng(0).normal(size=(7, 3, 3)).astype("float32")
    report = lottery.export(model, tmp_path / "m.tflite", "litert", test_data=x, latency=False)
    row = report.rows[0]
    assert row.status == "verified"
    assert row.verified.relative_difference < 1e-5
    assert sum(row.zeros.values()) == sum((k == 0).sum() for k in _kernels(model))
    assert not any(each.unroll for each in recurrent(model))


def _kernels(model):
    return [weight.numpy() for weight in model.weights if weight.name.endswith("kernel")]


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "weights"), [("both ways", "dynamic"), ("lstm", "int8")])
def test_so_do_its_other_weights(layer, weights, tmp_path):
    pytest.importorskip("ai_edge_litert")
    model = half_pruned(network(LAYERS[layer](), features=8))
    x = np.random.default_rng(0).normal(size=(300, 3, 8)).astype("float32")
    data = {"test_data": x, "train_data": x}
    report = lottery.export(model, tmp_path / "m.tflite", "litert", weights, **data, latency=False)
    assert report.rows[0].status == "verified"


@pytest.mark.slow
def test_sparse_ones_are_verified_or_refused(tmp_path):
    """TensorFlow's converter drops values of some recurrent kernels: no such file may count."""
    pytest.importorskip("ai_edge_litert")
    model = half_pruned(network(LAYERS["lstm"](), features=8))
    x = np.random.default_rng(0).normal(size=(300, 3, 8)).astype("float32")
    path = tmp_path / "m.tflite"
    refused = ""
    try:
        report = lottery.export(model, path, "litert", "sparse", test_data=x, latency=False)
        assert report.rows[0].status == "verified"
    except LotteryError as error:
        refused = str(error)
    assert path.exists() != ("refused" in refused)


def test_the_copy_is_the_model_and_says_that_it_is_unrolled():
    inner = network(L.GRU(4, return_sequences=True))
    inputs = keras.Input((3, 3))
    model = keras.Model(inputs, L.Bidirectional(L.LSTM(3))(inner(inputs)))
    copy = unrolled(model)
    assert [layer.unroll for layer in recurrent(copy)] == [True] * len(recurrent(model))
    x = np.ones((2, 3, 3), np.float32)
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-5)
    assert unrolled(copy) is copy


def test_an_open_number_of_steps_is_one_clear_line(tmp_path):
    pytest.importorskip("ai_edge_litert")
    said = (
        r"LiteRT takes recurrent layers unrolled only .* is open. Fix it: keras.Input\(\(steps, features\)\)"
    )
    with pytest.raises(LotteryError, match=said) as caught:
        lottery.export(network(L.LSTM(6), steps=None), tmp_path / "m.tflite", "litert", latency=False)
    assert "\n" not in str(caught.value)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.lstm = L.LSTM(3)

    def call(self, x):
        return self.lstm(x)


def test_what_can_t_be_copied_is_to_be_built_so(tmp_path):
    pytest.importorskip("ai_edge_litert")
    model = Own()
    model(np.ones((2, 3, 3), np.float32))
    x = np.ones((4, 3, 3), np.float32)
    with pytest.raises(
        LotteryError, match="'own.* can't be copied to unroll them .* Build it with unroll=True"
    ):
        lottery.export(model, tmp_path / "m.tflite", "litert", test_data=x, latency=False)
    model.lstm.unroll = True
    report = lottery.export(model, tmp_path / "m.tflite", "litert", test_data=x, latency=False)
    assert report.rows[0].status == "verified"


def stateful():
    layer = L.Bidirectional(L.LSTM(5, return_sequences=True, stateful=True))
    return keras.Sequential([keras.Input(batch_shape=(4, 5, 3)), layer, L.GRU(60, stateful=True), L.Dense(2)])


@pytest.mark.parametrize("weights", ["packed", "dense"])
def test_a_saved_model_keeps_the_state_from_its_beginning_on(weights, tmp_path):
    model = half_pruned(stateful())
    x = np.random.default_rng(0).normal(size=(12, 5, 3)).astype("float32")
    model(x[:4])  # in some state
    before = [state.numpy() for state in states_of(model)]
    timed = weights == "packed"
    report = lottery.export(model, tmp_path / "m", weights=weights, test_data=x, latency=timed)
    assert report.rows[0].verified.identical
    assert report.rows[0].verified.graph_session
    assert set(report.rows[0].latency) == ({"4"} if timed else set())
    assert ("latency at batch 4, the only batch size that it takes: " in str(report)) is timed
    assert [state.numpy().tobytes() for state in states_of(model)] == [each.tobytes() for each in before]
    serve = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    assert serve.structured_input_signature[1]["inputs"].shape == (4, 5, 3)
    found = [serve(inputs=tf.constant(x[:4]))["outputs"].numpy() for _ in range(2)]
    with from_initial_state(model):
        expected = [model(x[:4]).numpy() for _ in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_state_that_isn_t_kept_is_noticed(tmp_path, monkeypatch):
    from tf_lottery.exports.formats import saved_model

    monkeypatch.setattr(saved_model._Unpacked, "add_update", lambda self, update: None)
    with pytest.raises(LotteryError, match="export as savedmodel packed was refused: its outputs differ"):
        lottery.export(stateful(), tmp_path / "m", latency=False)


@pytest.mark.parametrize(("format", "file"), [("litert", "m.tflite"), ("onnx", "m.onnx"), ("openvino", "m")])
def test_other_files_keep_no_state(format, file, tmp_path):
    said = "can't keep a state between calls, as .* does. Use a SavedModel, or build the model with"
    with pytest.raises(LotteryError, match=said):
        lottery.export(stateful(), tmp_path / file, format, latency=False)


def test_a_stateful_model_takes_whole_batches(tmp_path):
    x = np.ones((6, 5, 3), np.float32)
    assert fixed_batch(stateful()) == 4
    for arguments in ({"test_data": x}, {"test_data": x[:4], "warmup": True}):
        with pytest.raises(LotteryError, match="Expected test_data in whole batches of 4, since .* stateful"):
            lottery.export(stateful(), tmp_path / "m", **arguments)
