"""Quantization-aware training on real digits: zeros stay zeros, accuracy stays."""

import keras
import numpy as np
import pytest

from tests.exports.models import accuracy, conv_net
from tests.exports.test_litert import answers
from tf_lottery.errors import LotteryError
from tf_lottery.exports.flatbuffer import check_zeros, weight_tensors
from tf_lottery.exports.qat import quantize_aware
from tf_lottery.exports.source import make_source

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
    steps = -(-len(digits.train) // 128)
    assert f"epoch 2 of 2, step {steps} of {steps}: loss" in noted[-1]
    assert len(noted) == 4


@pytest.mark.slow
def test_without_preserving_zeros_are_lost_and_that_is_found(ticket, digits, monkeypatch):
    """The check can fail: the default scheme of tensorflow-model-optimization brings weights back."""
    from tf_lottery.tfmot import load_tfmot

    tfmot = load_tfmot()
    default = tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme
    monkeypatch.setattr(tfmot.experimental.combine, "Default8BitPrunePreserveQuantizeScheme", default)
    content = quantize_aware(ticket, digits.train.x, digits.train.y, learning_rate=0.01)
    with pytest.raises(LotteryError, match="became nonzero"):
        check_zeros(content, make_source(ticket).kernels())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(ticket, digits):
    def weights(seed):
        content = quantize_aware(ticket, digits.train.x[:256], digits.train.y[:256], 1, 32, 0.01, seed)
        return [tensor.values.tobytes() for tensor in weight_tensors(content)]

    first = weights(3)
    assert weights(3) == first
    assert weights(4) != first


def test_a_convolution_before_relu_and_normalization_is_refused(digits):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(3, 3, activation="relu"),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dense(10),
        ]
    )
    with pytest.raises(LotteryError, match="Expected a model that tensorflow-model-optimization quantizes"):
        quantize_aware(model, digits.train.x, digits.train.y)


def test_labels_of_another_kind_are_refused(digits):
    with pytest.raises(LotteryError, match=r"outputs' shape \(10,\). Received: float64 of shape \(5, 3\)"):
        quantize_aware(conv_net(), digits.train.x[:5], np.zeros((5, 3)))
