"""Odd but supported networks, data and masks: in float64 a training is the dense engine's."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

from tests.training.sparse.engines import difference, order
from tests.training.trainings import trainer
from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig
from tf_lottery.data import sources, split
from tf_lottery.training.sparse.choice import lacking
from tf_lottery.training.sparse.engine import SparseEngine

STEPS = 15
EXACT = {"precision": "float64", "xla": False}


def _network(input_shape, *chain):
    flat = [layers.Flatten()] if len(input_shape) > 1 and type(chain[0]) is layers.Dense else []
    return keras.Sequential([keras.Input(input_shape), *flat, *chain])


def without_biases(input_shape, classes):
    hidden = layers.Dense(20, "tanh", use_bias=False)
    return _network(input_shape, hidden, layers.Dense(classes, use_bias=False))


def strided(input_shape, classes):
    first = layers.Conv2D(5, 3, strides=2, padding="valid", activation="tanh", use_bias=False)
    second = layers.Conv2D(7, (2, 3), padding="same"), layers.Activation("relu"), layers.Flatten()
    return _network(input_shape, first, *second, layers.Dense(classes), layers.Activation("linear"))


def ends_in_relu(input_shape, classes):
    hidden = layers.Dense(30), layers.Activation("relu"), layers.BatchNormalization()
    return _network(input_shape, *hidden, layers.Dense(classes), layers.ReLU())


def branching(input_shape, classes):
    inputs = keras.Input(input_shape)
    x = layers.Flatten()(inputs)
    first, second = layers.Dense(16, "relu")(x), layers.Dense(16)(x)
    layers.Dense(3)(first)  # nobody reads it
    x = layers.Concatenate()([layers.Add()([first, second]), layers.Add()([first, first])])
    outputs = layers.Dense(classes)(x)
    return keras.Model(inputs, layers.Add()([outputs, layers.ReLU()(outputs)]))


def own(tmp_path, x, y, validation=60):
    """Digits as a user's own arrays."""
    path = tmp_path / "own.npz"
    np.savez(path, x_train=x[:400], y_train=y[:400], x_test=x[400:600], y_test=y[400:600])
    config = DataConfig(name="npz", path=str(path), validation=validation)
    return split.split(sources.load(config), config)


def images():
    x, y = load_digits(return_X_y=True)
    return (x * 15).astype(np.uint8), y.astype(np.int64)


DATA = {
    "uint8 vectors": lambda path: own(path, *images()),
    "float32 vectors": lambda path: own(path, images()[0].astype(np.float32) / 240, images()[1]),
    "float64 images": lambda path: own(path, images()[0].reshape(-1, 8, 8, 1) / 240, images()[1]),
    "two classes": lambda path: own(path, images()[0].reshape(-1, 8, 8), images()[1] % 2),
    "three examples to validate": lambda path: own(path, *images(), validation=3),
    "65 examples to validate": lambda path: own(path, *images(), validation=65),
}


def trained_as_the_dense_engine(dataset, build, density=0.25, emptied=(), **training):
    """Train with both engines and compare all that they hold and measure; return the weights."""
    settings = EXACT | training
    config, model = TrainingConfig(**settings), ModelConfig(build=f"{__name__}:{build.__name__}")
    whole, random = trainer(dataset, model, **settings), np.random.default_rng(0)
    masks = {path: random.random(shape) < density for path, shape in whole.shapes().items()}
    for index in emptied:
        masks[list(masks)[index]][:] = False
    whole.begin(masks, whole.initial_weights(3), 0, None)
    assert lacking(whole, config) is None
    engine = SparseEngine(whole, config, dataset)
    for each in (engine, whole):
        each.train(0, STEPS, order(dataset, config.batch_size), [])
        each.check()
    mine, theirs = engine.state(), whole.state()
    assert {name: (v.shape, v.dtype) for name, v in mine.items()} == {
        name: (v.shape, v.dtype) for name, v in theirs.items()
    }
    assert sum(abs(value.astype(float)).sum() for value in theirs.values()) > 0
    assert difference(mine, theirs) < 1e-10
    for part in ("validation", "test"):
        assert engine.measure(part) == pytest.approx(whole.measure(part), rel=1e-6)
    return engine.weights(), masks


def called_as_in_inference(input_shape, classes):
    """Keras gives the model's own `training` precedence over what a layer was called with."""
    inputs = keras.Input(input_shape)
    x = layers.BatchNormalization()(layers.Dense(20)(layers.Flatten()(inputs)), training=False)
    return keras.Model(inputs, layers.Dense(classes)(layers.ReLU()(x)))


@pytest.mark.parametrize("build", [without_biases, strided, ends_in_relu, branching, called_as_in_inference])
def test_networks(build, digits):
    trained_as_the_dense_engine(digits, build)


@pytest.mark.parametrize("data", DATA)
def test_data(data, tmp_path):
    trained_as_the_dense_engine(DATA[data](tmp_path), without_biases)


@pytest.mark.parametrize("batch", [1, 63, 64, 65, 129])
def test_batches(batch, digits):
    trained_as_the_dense_engine(digits, without_biases, batch_size=batch)


@pytest.mark.parametrize(
    ("build", "emptied"), [(without_biases, [0]), (strided, [0]), (strided, [1]), (strided, [2])]
)
def test_masks_that_empty_a_layer(build, emptied, digits):
    weights, masks = trained_as_the_dense_engine(
        digits, build, emptied=emptied, optimizer_options={"clipnorm": 1.0}
    )
    for path, mask in masks.items():
        assert not weights["model/" + path][~mask].any()
