import random

import keras
import numpy as np
import pytest

from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.models.build import build
from tf_lottery.pruning.schedules import densities, layer_rates

# Weights (kernels) in all, and in convolutions: Frankle & Carbin 2018, Figure 2.
SIZES = {
    "lenet_300_100": ((28, 28, 1), 266_200, 0),
    "conv2": ((32, 32, 3), 4_300_992, 38_592),
    "conv4": ((32, 32, 3), 2_425_024, 259_776),
    "conv6": ((32, 32, 3), 2_261_184, 1_144_512),
}
LABELS = {
    "lenet_300_100": [51.3, 41.1, 26.3, 21.1, 13.5, 7.0, 3.6, 1.9, 1.2],
    "conv2": [51.4, 26.5, 8.8, 4.6],
    "conv4": [53.5, 11.1, 9.2],
}


def kernels(model):
    return {v.path.removeprefix(f"{model.name}/"): v for v in model.trainable_variables if v.name == "kernel"}


@pytest.mark.parametrize("name", SIZES)
def test_parameter_counts_are_the_papers(name):
    shape, weights, convolutional = SIZES[name]
    found = kernels(build(ModelConfig(name=name), shape, 10, seed=0)).values()
    assert sum(int(np.prod(v.shape)) for v in found) == weights
    assert sum(int(np.prod(v.shape)) for v in found if len(v.shape) == 4) == convolutional


@pytest.mark.parametrize("name", LABELS)
def test_densities_over_twenty_rounds_are_the_papers_labels(name):
    model = build(ModelConfig(name=name), SIZES[name][0], 10, seed=0)
    sizes = {path: int(np.prod(v.shape)) for path, v in kernels(model).items()}
    rates = layer_rates(
        list(sizes), 0.2, {"conv*": 0.1, "output": 0.1} if "conv" in name else {"output": 0.1}
    )
    percent = {round(100 * density, 1) for density in densities(sizes, rates, 25)}
    assert set(LABELS[name]) <= percent


def test_the_seed_decides_the_initialization_and_nothing_else_is_touched():
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    config = ModelConfig()
    first, again, other = (build(config, (8, 8, 1), 10, seed) for seed in (1, 1, 2))
    for a, b, c in zip(*(kernels(m).values() for m in (first, again, other)), strict=True):
        assert (a.numpy() == b.numpy()).all()
        assert abs(np.corrcoef(a.numpy().ravel(), c.numpy().ravel())[0, 1]) < 0.15
    assert (random.random(), np.random.rand()) == expected


def test_initialization_is_gaussian_glorot_with_zero_biases():
    model = build(ModelConfig(), (28, 28, 1), 10, seed=0)
    hidden = model.get_layer("hidden1")
    assert np.std(hidden.kernel) == pytest.approx(np.sqrt(2 / (784 + 300)), rel=0.01)
    assert not np.any(hidden.bias)


def users_own(input_shape, classes, width=4):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(width),
            keras.layers.Dense(classes),
        ]
    )


def unbuilt(input_shape, classes):
    return keras.Sequential([keras.layers.Dense(classes)])


class Distilled(keras.Model):
    """A Functional model that trains in a way of its own."""

    def train_step(self, data):
        return super().train_step(data)


def own_training(input_shape, classes):
    x = keras.Input(input_shape)
    return Distilled(x, keras.layers.Dense(classes)(keras.layers.Flatten()(x)))


def wrong_outputs(input_shape, classes):
    return users_own(input_shape, classes + 1)


def failing(input_shape, classes):
    raise RuntimeError("no such thing")


def test_the_users_own_builder_keeps_its_automatic_names():
    config = ModelConfig(build=f"{__name__}:users_own", kwargs={"width": 7})
    names = [[layer.name for layer in build(config, (3, 3), 5, seed=0).layers] for _ in range(2)]
    assert names == [["flatten", "dense", "dense_1"]] * 2
    assert build(config, (3, 3), 5, seed=0).get_layer("dense").units == 7


@pytest.mark.parametrize(
    ("config", "received"),
    [
        (ModelConfig(name="lenet"), "lenet"),
        (ModelConfig(build="no.such.module:function"), "no.such.module"),
        (ModelConfig(build=f"{__name__}:no_such_function"), "no_such_function"),
        (ModelConfig(build=f"{__name__}:unbuilt"), "Sequential"),
        (ModelConfig(build=f"{__name__}:wrong_outputs"), r"\(None, 6\)"),
        (ModelConfig(build=f"{__name__}:own_training"), "without a train_step .*Received: Distilled"),
        (ModelConfig(build=f"{__name__}:failing"), "no such thing"),
        (ModelConfig(kwargs={"depth": 3}), "depth"),
    ],
)
def test_builders_that_do_not_work_are_named_in_one_line(config, received):
    with pytest.raises(LotteryError, match=f"Expected .*{received}") as error:
        build(config, (3, 3), 5, seed=0)
    assert "\n" not in str(error.value)
