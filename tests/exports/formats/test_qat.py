"""Quantization-aware training on real digits: zeros stay zeros, accuracy stays."""

import os
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tests.exports.formats.test_litert import answers
from tests.exports.models import accuracy, conv_net
from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats import qat
from tf_lottery.exports.formats.qat import quantize_aware
from tf_lottery.exports.source import make_source
from tf_lottery.exports.verify.flatbuffer import check_zeros, weight_tensors
from tf_lottery.tfmot import load_tfmot

L = keras.layers


@pytest.mark.slow
@pytest.mark.parametrize("network", ["ticket", "conv_ticket"])
def test_zeros_stay_and_accuracy_does(network, digits, tmp_path, request):
    model = request.getfixturevalue(network)
    before = [weight.tobytes() for weight in model.get_weights()]
    noted = []
    content = quantize_aware(model, digits.train.x, digits.train.y, noted=noted.append)
    source = make_source(model)
    expected = {path: int((kernel == 0).sum()) for path, kernel in source.kernels().items()}
    assert check_zeros(content, source.kernels()) == expected
    assert {tensor.values.dtype for tensor in weight_tensors(content)} == {np.dtype(np.int8)}
    (tmp_path / "m.tflite").write_bytes(content)
    found = answers(tmp_path / "m.tflite", digits.test.x)
    assert accuracy(found, digits) >= accuracy(model(digits.test.x), digits) - 0.02
    assert answers(tmp_path / "m.tflite", digits.test.x[:1]).shape == (1, 10)
    assert [weight.tobytes() for weight in model.get_weights()] == before
    steps = len(digits.train) // 128
    assert f"epoch 2 of 2, step {steps} of {steps}: loss" in noted[-1]
    assert len(noted) == 4


def many_kinds():
    """With what tensorflow-model-optimization alone gets wrong: a ReLU layer after a convolution (its weights
    stay unquantized, zeros are lost), depthwise kernels (zeros are lost), BatchNormalization after ReLU and
    before tanh (refused), after a Dense layer (stays float)."""
    inputs = keras.Input((8, 8, 1))
    x = L.ReLU()(L.Conv2D(8, 3, padding="same", name="first")(inputs))
    x = L.BatchNormalization()(x)
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = L.Activation("tanh")(L.BatchNormalization()(y))
    y = L.Conv2D(8, 1, name="mixed")(y)
    x = L.Dropout(0.1)(L.MaxPooling2D()(L.ReLU()(x + y)))
    x = L.SeparableConv2D(8, 3, activation="relu", name="separable")(x)
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Dense(24, name="hidden")(L.Flatten()(x))))
    return keras.Model(inputs, L.Dense(10, "softmax", name="output")(x))


def dead(model):
    """Without a channel of the first convolution, and without a whole kernel."""
    kernel = model.get_layer("first").kernel
    kernel.assign(kernel.numpy() * (np.arange(8) != 3))
    kernel = model.get_layer("mixed").kernel
    kernel.assign(0 * kernel.numpy())
    return model


@pytest.fixture(scope="module")
def pruned(digits):
    keras.utils.set_random_seed(0)
    model = many_kinds()
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    model.fit(digits.train.x, digits.train.y, batch_size=32, epochs=8, verbose=0)
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            value = variable.numpy()
            cut = np.quantile(abs(value), 0.3 if value.size < 200 else 0.5)
            variable.assign(np.where(abs(value) < cut, 0, value))
    return model


def kernels_of(model):
    return {v.path: v.numpy() for v in model.trainable_variables if v.path.endswith("kernel")}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda model: model, marks=pytest.mark.exhaustive, id="alive"),
        pytest.param(dead, marks=pytest.mark.slow),
    ],
)
def test_zeros_of_every_kind_of_layer_stay(change, pruned, digits, tmp_path):
    model = change(pruned)
    content = quantize_aware(model, digits.train.x, digits.train.y, epochs=10, learning_rate=1e-3)
    kernels = kernels_of(model)
    assert len(kernels) == 7
    assert check_zeros(content, kernels) == {p: int((k == 0).sum()) for p, k in kernels.items()}
    (tmp_path / "m.tflite").write_bytes(content)
    interpreter = Interpreter(str(tmp_path / "m.tflite"))
    assert {np.dtype(d["dtype"]).name for d in interpreter.get_tensor_details()} <= {"int8", "int32"}
    whole = answers(tmp_path / "m.tflite", digits.test.x)
    assert accuracy(whole, digits) >= accuracy(model(digits.test.x), digits) - 0.02
    for count in (1, 32, 256):
        np.testing.assert_array_equal(answers(tmp_path / "m.tflite", digits.test.x[:count]), whole[:count])


@pytest.mark.slow
def test_numbers_are_learned_as_well_as_classes(ticket, digits, tmp_path):
    """On what the model itself answers, the mean squared error begins and stays small."""
    y, noted = np.array(ticket(digits.train.x)), []
    content = quantize_aware(ticket, digits.train.x, y, epochs=1, noted=noted.append)
    assert "accuracy" not in noted[-1]
    (tmp_path / "m.tflite").write_bytes(content)
    found, expected = answers(tmp_path / "m.tflite", digits.test.x), np.array(ticket(digits.test.x))
    assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean()


@pytest.mark.slow
def test_channels_without_weights_keep_their_biases(digits, tmp_path):
    """Their ranges are empty, and a scale of zero would lose what normalization and biases add."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = L.BatchNormalization(name="norm")(L.Conv2D(8, 3, use_bias=False, name="conv")(inputs))
    x = L.Dense(16, "relu", name="hidden")(L.Flatten()(L.ReLU()(x)))
    model = keras.Model(inputs, L.Dense(10)(x))
    conv, norm, hidden = (model.get_layer(name) for name in ("conv", "norm", "hidden"))
    conv.kernel.assign(conv.kernel.numpy() * (np.arange(8) % 4 != 3))
    norm.beta.assign(np.arange(8) / 2 - 1)
    hidden.kernel.assign(hidden.kernel.numpy() * (np.arange(16) > 3))
    hidden.bias.assign(np.arange(16) % 4)
    y = model.predict(digits.train.x, verbose=0)
    content = quantize_aware(model, digits.train.x, y, epochs=1, learning_rate=1e-6)
    (tmp_path / "m.tflite").write_bytes(content)
    difference = answers(tmp_path / "m.tflite", digits.train.x) - y
    assert np.abs(difference).mean() < 0.03 * np.abs(y).mean()


@pytest.mark.slow
def test_without_preserving_zeros_are_lost_and_that_is_found(ticket, digits, monkeypatch):
    """The check can fail: the default scheme of tensorflow-model-optimization brings weights back."""
    tfmot = load_tfmot()
    default = tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme
    monkeypatch.setattr(tfmot.experimental.combine, "Default8BitPrunePreserveQuantizeScheme", default)
    monkeypatch.setattr(qat, "_masks", lambda aware: [])
    content = quantize_aware(ticket, digits.train.x, digits.train.y, learning_rate=0.01)
    with pytest.raises(LotteryError, match="became nonzero"):
        check_zeros(content, make_source(ticket).kernels())


def test_weights_that_would_stay_unquantized_are_refused(ticket, digits, monkeypatch):
    monkeypatch.setattr(qat, "_kernels", lambda aware: [])
    with pytest.raises(LotteryError, match="can't quantize .*: .*kernel.* would stay unquantized") as caught:
        quantize_aware(ticket, digits.train.x, digits.train.y)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(ticket, digits):
    def weights(seed):
        content = quantize_aware(ticket, digits.train.x[:256], digits.train.y[:256], 1, 32, 0.01, seed)
        return [tensor.values.tobytes() for tensor in weight_tensors(content)]

    first = weights(3)
    assert weights(3) == first
    assert weights(4) != first


def test_nothing_else_changes(ticket, digits):
    """Not the generators of NumPy and TensorFlow, nor the environment, nor what `tf.keras` is."""
    keras.utils.set_random_seed(5)
    expected = np.random.random(), float(tf.random.uniform(()))
    keras.utils.set_random_seed(5)
    temporary = set(os.listdir(tempfile.gettempdir()))
    quantize_aware(ticket, digits.train.x[:64], digits.train.y[:64], epochs=1, batch_size=32)
    assert (np.random.random(), float(tf.random.uniform(()))) == expected
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.Model is keras.Model
    left = set(os.listdir(tempfile.gettempdir())) - temporary
    assert not [name for name in left if name.startswith("tmp")]


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (
            np.zeros((5, 8, 8, 1)),
            np.zeros((5, 3)),
            r"outputs' shape \(10,\). Received: float64 of shape \(5, 3\)",
        ),
        (np.zeros((5, 8, 8, 1)), np.arange(6, 11), "Expected labels 0 to 9. Received: 6 to 10"),
        (np.zeros((5, 8, 8, 1)), np.arange(4), "as many labels as examples. Received: 4 and 5"),
        (np.zeros((5, 8, 8, 1), np.uint8), np.arange(5), r"Received: uint8 of shape \(5, 8, 8, 1\)"),
        (
            np.zeros((5, 64)),
            np.arange(5),
            r"of shape \(5, 8, 8, 1\), .* Received: float64 of shape \(5, 64\)",
        ),
        (np.zeros((0, 8, 8, 1)), np.zeros(0, int), r"Received: float64 of shape \(0, 8, 8, 1\)"),
    ],
)
def test_other_data_is_refused(x, y, said):
    with pytest.raises(LotteryError, match=said):
        quantize_aware(conv_net(), x, y)


def test_less_than_an_epoch_is_refused(digits):
    with pytest.raises(LotteryError, match="Expected epochs of at least 1. Received: 0"):
        quantize_aware(conv_net(), digits.train.x, digits.train.y, epochs=0)
