import keras
import numpy as np
import pytest
from keras import activations, layers

from tests.training.sparse.layer_checks import check
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.activation import ACTIVATIONS
from tf_lottery.training.sparse.ops.op import Unsupported

_NAMES = [*(function.__name__ for function in ACTIVATIONS), "relu", "leaky_relu"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", _NAMES)
def test_activation(name, dtype):
    check(layers.Activation(name, dtype=dtype), [(7,)], dtype=dtype)


@pytest.mark.parametrize("name", _NAMES)
def test_kinks_and_large_numbers(name):
    numbers = np.array([-200, -20, -6, -3, -1, -0.0, 0.0, 1, 3, 6, 20, 200 if name != "exponential" else 8])
    arrays = [np.tile(numbers, (60, 1))]
    check(layers.Activation(name, dtype="float64"), [(len(numbers),)], arrays)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu"])
@pytest.mark.parametrize("adds", [False, True])
def test_images(name, adds):
    check(layers.Activation(name, dtype="float32"), [(7, 5, 3)], batch=100, dtype="float32", adds=adds)


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(dtype="float64"),
        layers.ReLU(negative_slope=0.25, dtype="float64"),
        layers.LeakyReLU(dtype="float64"),
        layers.LeakyReLU(0.1, dtype="float64"),
        layers.ELU(dtype="float64"),
        layers.ELU(0.5, dtype="float64"),
    ],
)
def test_layer(layer):
    arrays = [np.random.default_rng(1).normal(size=(60, 5, 5, 2)).round(1)]
    check(layer, [(5, 5, 2)], arrays)


def test_large_images_are_computed_in_parts():
    check(layers.Activation("tanh", dtype="float32"), [(24, 24, 3)], dtype="float32")


def test_linear_moves_nothing():
    run = check(layers.Activation("linear", dtype="float64"), [(4,)])
    assert run.output is run.inputs[0]


@pytest.mark.parametrize("layer", [layers.ReLU(max_value=6), layers.ReLU(threshold=1), layers.Softmax()])
def test_unsupported_layers(layer):
    model = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(Unsupported):
        Network(model, 60)


@pytest.mark.parametrize("function", [activations.softmax, activations.glu, lambda x: x])
def test_unsupported_functions(function):
    model = keras.Sequential([keras.Input((4,)), layers.Activation(function)])
    with pytest.raises(Unsupported, match="activation"):
        Network(model, 60)


def test_activation_of_a_dense_layer_is_an_op_of_its_own():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(2, "relu")])
    network = Network(model, 60)
    assert [type(op).__name__ for op in network._ops] == ["Dense", "Activation", "Dense"]
