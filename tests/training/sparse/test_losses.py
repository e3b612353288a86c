import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.sparse.layer_checks import get, near, put
from tf_lottery.training.sparse.kernels.losses import squared_error
from tf_lottery.training.sparse.kernels.vector import LANES
from tf_lottery.training.sparse.tensor import Tensor


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [60, 100])
def test_squared_error(dtype, batch):
    random = np.random.default_rng(0)
    outputs, labels = random.normal(size=(batch, 10)).astype(dtype), random.integers(0, 10, batch)
    tensor = Tensor(10, 1, 1, -(-batch // LANES), np.dtype(dtype))
    tensor.allocate(gradient=True)
    put(tensor, tensor.value, outputs, beyond=outputs[0])
    tensor.gradient[:] = 7
    lanes = np.full(tensor.groups * LANES, -1, np.int32)
    lanes[:batch] = labels
    sums, share = np.array([1.0, 2.0]), np.dtype(dtype).type(1 / batch)
    places = tensor.starts(), tensor.groups, tensor.group_step
    squared_error(tensor.value, tensor.gradient, lanes, *places, share, sums)
    variable = tf.constant(outputs)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        losses = keras.losses.mean_squared_error(keras.ops.one_hot(labels, 10, dtype=dtype), variable)
        loss = tf.reduce_mean(losses)
    near((sums[0] - 1) / batch, loss, dtype)
    assert sums[1] - 2 == (outputs.argmax(1) == labels).sum()
    near(get(tensor, tensor.gradient, batch), tape.gradient(loss, variable), dtype)
    assert not tensor.gradient.reshape(-1, 10, LANES)[-1, :, batch % LANES :].any()
    again = np.zeros(2)
    squared_error(tensor.value, None, lanes, *places, share, again)
    assert again[0] == pytest.approx(sums[0] - 1, rel=1e-12)
