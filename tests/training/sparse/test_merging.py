import keras
import numpy as np
import pytest
from keras import layers

from tests.training.sparse.layer_checks import check
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.op import Unsupported


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (5, 3, 4)])
def test_add(count, adds, dtype, shape):
    check(layers.Add(dtype=dtype), [shape] * count, batch=100, dtype=dtype, adds=adds)


@pytest.mark.parametrize("adds", [False, True])
def test_concatenate(adds):
    check(layers.Concatenate(dtype="float64"), [(5, 3, 4), (5, 3, 1), (5, 3, 2)], adds=adds)
    check(layers.Concatenate(dtype="float64"), [(5,), (3,)], adds=adds)


@pytest.mark.parametrize("adds", [False, True])
def test_zero_padding(adds):
    check(layers.ZeroPadding2D(((1, 2), (0, 3)), dtype="float64"), [(5, 3, 4)], adds=adds)


@pytest.mark.parametrize("join", [layers.Add, layers.Concatenate])
def test_a_tensor_added_to_itself(join):
    inputs = keras.Input((6,))
    hidden = layers.Dense(4)(inputs)
    model = keras.Model(inputs, layers.Dense(2)(join()([hidden, hidden])))
    network = Network(model, 60)
    masks = {path: np.ones(shape, bool) for path, shape in _kernels(model).items()}
    network.start(masks)
    network.context.parameters.values[:] = 1
    network.inputs.value[:] = 1
    network.forward(True, 0)
    network.outputs.gradient[:] = 1
    network.backward()
    part = next(part for part in network.context.parameters.parts if part.kernel)
    # Each of 64 examples has 2 outputs of gradient 1, and reads the tensor twice.
    assert (network.context.parameters.gradients[part.first : part.last] == 64 * 2 * 2).all()


def _kernels(model):
    return {f"{layer.name}/kernel": layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")}


def test_unsupported():
    inputs = keras.Input((4, 4, 3))
    small = layers.MaxPooling2D(4)(inputs)
    model = keras.Model(inputs, layers.Flatten()(layers.Add()([inputs, small])))
    with pytest.raises(Unsupported, match="different shapes"):
        Network(model, 60)
    flat = layers.Flatten()(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([flat, flat])))
    with pytest.raises(Unsupported, match="images made vectors"):
        Network(model, 60)
    model = keras.Model(inputs, layers.Flatten()(layers.Concatenate(1)([inputs, inputs])))
    with pytest.raises(Unsupported, match="axis"):
        Network(model, 60)
