"""Outputs for a whole split, against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from tf_lottery.data.split import Split
from tf_lottery.training import evaluate
from tf_lottery.training.evaluate import make_outputs


@pytest.mark.parametrize(("batch", "count"), [(3, 7), (3, 6), (1000, 7)])
def test_outputs_of_all_examples_in_order_whatever_the_batches(monkeypatch, batch, count):
    monkeypatch.setattr(evaluate, "BATCH", batch)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, bias_initializer="normal", name="output")])
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4)).astype(np.uint8)
    rows = np.arange(9)[-count:]
    outputs = make_outputs(model, Split(pixels, np.zeros(count, np.int32), rows), xla=False)
    for _ in range(2):
        kernel, bias = model.get_weights()
        assert outputs() == pytest.approx(pixels[rows] / 255 @ kernel + bias, abs=1e-5)
        model.set_weights([2 * kernel, bias + 1])
