import keras
import numpy as np
import pytest
from keras import layers

from tests.training.sparse.layer_checks import Run, check, near
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.op import Unsupported

_RANDOM = keras.initializers.RandomNormal(1, 0.5, seed=1)


def _layer(dtype="float64", **settings):
    return layers.BatchNormalization(
        dtype=dtype, gamma_initializer=_RANDOM, beta_initializer=_RANDOM, momentum=0.9, **settings
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [60, 64, 100])
@pytest.mark.parametrize("shape", [(5,), (7, 5, 3)])
def test_training(dtype, batch, shape):
    images = np.random.default_rng(4).normal(1.5, 2, (batch, *shape))
    check(_layer(dtype), [shape], [images], batch, dtype)


@pytest.mark.parametrize(("scale", "center"), [(True, False), (False, True), (False, False)])
def test_without_scale_or_center(scale, center):
    check(_layer(scale=scale, center=center), [(4, 4, 3)])


def test_adds():
    check(_layer(), [(9, 70, 2)], adds=True)


def test_moving_statistics_and_inference():
    layer, random = _layer(epsilon=1e-5), np.random.default_rng(5)
    run = Run(layer, [(5, 3, 4)], 60, "float64")
    for _ in range(3):
        batch = random.normal(2, 3, (60, 5, 3, 4))
        layer(batch, training=True)
        run.forward([batch])
    for variable in layer.non_trainable_variables:
        near(run.context.statistics["model/" + variable.path], variable, "float64")
    batch = random.normal(2, 3, (60, 5, 3, 4))
    near(run.forward([batch], training=False), layer(batch, training=False), "float64")
    for variable in layer.non_trainable_variables:
        near(run.context.statistics["model/" + variable.path], variable, "float64")


@pytest.mark.parametrize("shift", [0, 30, 1000])
def test_statistics_are_exact_where_the_mean_is_large(shift):
    images = np.random.default_rng(6).normal(shift, 1, (60, 16, 16, 2)).astype("float32")
    images[:, 0] = 0  # no part of an image stands for the whole
    run = Run(_layer("float32"), [(16, 16, 2)], 60, "float32")
    run.forward([images])
    mean, variance = (value for name, value in sorted(run.context.statistics.items()))
    exact = images.astype(float)
    near(mean, 0.1 * exact.mean((0, 1, 2)), "float32", scale=0.1)
    near(variance, 0.9 + 0.1 * exact.var((0, 1, 2)), "float32", scale=0.1)


def test_lanes_that_hold_no_example_change_in_place():
    run = Run(_layer(), [(3, 3, 2)], 100, "float64")
    images = np.random.default_rng(7).normal(size=(100, 3, 3, 2))
    run.context.live[40:] = 0
    few = run.forward([images])[:40]
    near(few, run.layer(images[:40], training=True), "float64")


def test_gradients_of_weights_alone():
    layer, random = _layer(), np.random.default_rng(8)
    run = Run(layer, [(3, 3, 2)], 60, "float64", gradients=True)
    run.inputs[0].gradient = None
    run.ops[0].prepare(run.context)
    images = random.normal(size=(60, 3, 3, 2))
    run.forward([images])
    run.output.interior(run.output.gradient)[:] = 1
    run.ops[0].backward()
    part = run.context.parameters.parts[1]
    near(run.context.parameters.gradients[part.first : part.last], [64 * 9.0] * 2, "float64")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.BatchNormalization(axis=1), (4, 4, 3)),
        (layers.BatchNormalization(synchronized=True), (4, 4, 3)),
        (layers.BatchNormalization(gamma_regularizer="l2"), (4, 4, 3)),
        (layers.BatchNormalization(beta_constraint="non_neg"), (4, 4, 3)),
    ],
)
def test_unsupported(layer, shape):
    model = keras.Sequential([keras.Input(shape), layer, layers.Flatten(), layers.Dense(2)])
    with pytest.raises(Unsupported):
        Network(model, 60)


def test_unsupported_after_flatten():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Flatten(), layers.BatchNormalization(), layers.Dense(2)]
    )
    with pytest.raises(Unsupported, match="images made vectors"):
        Network(model, 60)
