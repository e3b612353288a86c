import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.training.sparse.layer_checks import get, near, put
from tf_lottery.layers.paths import named_variables
from tf_lottery.training.sparse import network as network_module
from tf_lottery.training.sparse.network import Network

_RANDOM = keras.initializers.RandomNormal(1, 0.5, seed=1)


def _norm(x):
    return layers.BatchNormalization(gamma_initializer=_RANDOM, beta_initializer=_RANDOM)(x)


def _plain(x):
    return layers.Activation("relu")(_norm(x))


def _residual(x):
    # The branch that isn't normalized is read elsewhere, too, and its gradients are added up.
    return layers.ReLU()(layers.Add()([_norm(x), x]))


def _two_branches(x):
    branch = layers.LeakyReLU()(x)
    return layers.ReLU()(layers.Add()([_norm(x), _norm(branch)]))


def _read_twice(x):
    normed = _norm(x)
    return layers.Add()([layers.ReLU()(normed), normed])


def _sum_of_three(x):
    return layers.ReLU()(layers.Add()([_norm(x), x, x]))


def _leaky(x):
    return layers.LeakyReLU()(_norm(x))


def _model(build, dtype):
    policy, before = keras.DTypePolicy(dtype), keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((5, 6, 3), dtype=dtype)
        # The scale that comes first has a gradient, so that the tensors in between have one.
        x = _norm(inputs)
        outputs = layers.Dense(4, kernel_initializer=_RANDOM)(layers.GlobalAveragePooling2D()(build(x)))
        return keras.Model(inputs, outputs)
    finally:
        keras.config.set_dtype_policy(before)


def _compute(network, model, images, gradient):
    variables = named_variables(model)
    kernels = {path: np.ones(v.shape, bool) for path, v in variables.items() if path.endswith("kernel")}
    network.start(kernels)
    context = network.context
    context.parameters.read(
        {"model/" + p: np.asarray(v) for p, v in variables.items()}, context.parameters.values
    )
    put(network.inputs, network.inputs.value, images, beyond=images[0])
    network.forward(True, 0)
    outputs = get(network.outputs, network.outputs.value, len(images)).copy()
    put(network.outputs, network.outputs.gradient, gradient, beyond=0)
    network.backward()
    gradients = {"model/" + p: np.zeros(v.shape, v.dtype) for p, v in variables.items()}
    context.parameters.write(gradients, context.parameters.gradients)
    return outputs, gradients, context.statistics


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("build", "names"),
    [
        (_plain, "BatchNormalization"),
        (_residual, "BatchNormalization"),
        (_two_branches, "Bend BatchNormalization BatchNormalization"),
        (_read_twice, "BatchNormalization Bend Add"),
        (_sum_of_three, "BatchNormalization Add Bend"),
        (_leaky, "BatchNormalization Bend"),
    ],
)
def test_same_as_keras_and_unfused(build, names, dtype, monkeypatch):
    model, random = _model(build, dtype), np.random.default_rng(0)
    images = random.normal(size=(100, 5, 6, 3)).astype(dtype)
    gradient = random.normal(size=(100, 4)).astype(dtype)
    with tf.GradientTape() as tape:
        wanted = model(images, training=True)
    by_variable = tape.gradient(wanted, [v.value for v in model.trainable_variables], gradient)
    network = Network(model, 100, np.dtype(dtype))
    assert " ".join(type(op).__name__ for op in network._ops[1:-2]) == names
    monkeypatch.setattr(network_module, "fused", lambda ops, outputs: ops)
    unfused = Network(model, 100, np.dtype(dtype))
    variables = {id(v): "model/" + path for path, v in named_variables(model).items()}
    for version in (network, unfused):
        outputs, gradients, statistics = _compute(version, model, images, gradient)
        near(outputs, wanted, dtype)
        largest = max(abs(np.asarray(want)).max() for want in by_variable)
        for variable, want in zip(model.trainable_variables, by_variable, strict=True):
            got = gradients[variables[id(variable)]]
            assert abs(got - np.asarray(want)).max() < {"float32": 1e-5, "float64": 1e-12}[dtype] * largest
        for variable in model.non_trainable_variables:
            near(statistics[variables[id(variable)]], variable, dtype)


def test_tensors_in_between_are_not_allocated():
    network = Network(_model(_residual, "float32"), 60)
    assert len(network._tensors()) == 5  # inputs, first normalization, residual block, pooling, outputs
    assert network._ops[1].relu
    assert len(network._ops[1].inputs) == 2


def test_outputs_stay():
    inputs = keras.Input((4,))
    normed = layers.BatchNormalization()(inputs)
    network = Network(keras.Model(inputs, layers.ReLU()(normed)), 60)
    assert [op.output for op in network._ops] == [network.outputs]
