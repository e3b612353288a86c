"""Calls that are refused in one line, before anything is trained."""

import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf
from keras import layers

import tf_lottery as lottery
from tests.search.models import FIT, TRAIN, X, Y, search, small
from tf_lottery.errors import LotteryError


class Trained(keras.callbacks.Callback):
    """Tells that a training began."""

    def __init__(self):
        super().__init__()
        self.begun = False

    def on_train_begin(self, logs=None):
        self.begun = True


def refused(received, model=small, fit=None, **settings):
    """Search, which is refused before it trains; return the message, one line that ends as it must."""
    trained = Trained()
    arguments = {"x": X, "y": Y, "validation_split": 0.2, "callbacks": [trained]} | (fit or {})
    with pytest.raises(LotteryError) as caught:
        lottery.LotterySearch(model, verbose=0, **settings).fit(**arguments)
    message = str(caught.value)
    assert not trained.begun
    assert "\n" not in message
    assert message.startswith("Expected")
    assert received in message.rpartition("Received: ")[2], message
    return message


def uncompiled():
    return keras.Sequential([keras.Input((64,)), layers.Dense(10)])


def without_kernels():
    model = keras.Sequential([keras.Input((64,)), layers.BatchNormalization()])
    model.compile("adam", "mse")
    return model


def unbuilt():
    model = keras.Sequential([layers.Dense(10), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fixed_seed():
    initializer = keras.initializers.GlorotUniform(seed=3)
    model = keras.Sequential([keras.Input((64,)), layers.Dense(10, kernel_initializer=initializer)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("settings", "received"),
    [
        *(({"rate": rate}, repr(rate)) for rate in (0, 1, 1.5, -0.2, float("nan"), True, "x", None)),
        *(({"rounds": rounds}, repr(rounds)) for rounds in (-1, 0, 1.5, True, "3")),
        *(({"until": until}, repr(until)) for until in (-0.1, float("nan"), True, "x")),
        *(({"target_density": target}, repr(target)) for target in (0, 1, 1.5, float("nan"), "x")),
        *(({"rewind_to": to}, repr(to)) for to in ("-1it", 3, "1", "1.5ep", None, "99ep", "99999it", "1ep")),
        *(({"controls": controls}, repr(controls)) for controls in (-1, 1.5, True)),
        ({"rewind_optimizer": "keep"}, "'keep'"),
        ({"seed": -1}, "-1"),
        ({"criterion": "gradient"}, "'gradient'"),
        ({"criterion": ["magnitude"]}, "['magnitude']"),
        ({"layer_rates": [0.1]}, "[0.1]"),
        ({"rounds": 5000}, "5000"),
        ({"controls": 2000}, "2000"),
        ({"scope": "model"}, "'model'"),
        ({"engine": "jax"}, "'jax'"),
        ({"mode": "best"}, "'best'"),
        ({"mode": "max"}, "'max'"),
        ({"monitor": "val_accuracy", "mode": "best"}, "'best'"),
        ({"monitor": "val_score"}, "mode='auto'"),
        ({"monitor": ""}, "''"),
        ({"monitor": 3}, "3"),
        ({"layer_rates": {"hiden": 0.1}}, "'hiden'"),
        ({"layer_rates": {"hidden": 1.5}}, "1.5"),
        ({"layer_rates": {"hidden": "x"}}, "'x'"),
        ({"layer_rates": {"hidden": 0.1}, "scope": "global"}, "0.1"),
        ({"min_density": 1.5}, "1.5"),
        ({"include": "hiden"}, "'hiden'"),
        ({"exclude": "hiden"}, "'hiden'"),
    ],
)
def test_settings_out_of_range(settings, received):
    refused(received, **settings)


@pytest.mark.parametrize(
    ("model", "received"),
    [
        (uncompiled, "not compiled"),
        (without_kernels, "BatchNormalization"),
        (lambda: None, "None"),
        (lambda: lottery.make_prunable(small()), "already prunable"),
        (keras.Sequential, "type"),
        ("a model", "str"),
        (None, "NoneType"),
    ],
)
def test_models_that_no_search_can_take(model, received):
    refused(received, model)


@pytest.mark.parametrize(
    ("build", "received"),
    [
        (uncompiled, "not compiled"),
        (without_kernels, "BatchNormalization"),
        (lambda: lottery.make_prunable(small()), "already prunable"),
    ],
)
def test_models_given_as_they_are(build, received):
    refused(received, build())


@pytest.mark.parametrize("model", [unbuilt, unbuilt()], ids=["function", "model"])
def test_what_is_not_built_is_built_by_the_data_as_fit_does(model):
    assert search(model, rounds=1).fit(*TRAIN, **FIT).densities == [1, 0.5]


def test_an_initializer_with_a_seed_of_its_own_has_no_controls():
    assert "seed of its own" in refused("the same in model/dense", fixed_seed, controls=1)
    assert search(fixed_seed, rounds=1).fit(*TRAIN, **FIT).densities == [1, 0.5]


def read_once():
    while True:
        yield X, Y


DATASET = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)


@pytest.mark.parametrize(
    ("fit", "received"),
    [
        ({"x": read_once(), "y": None}, "x as a generator"),
        ({"x": iter(DATASET), "y": None}, "Iterator"),
        ({"x": zip(X, Y, strict=True), "y": None}, "zip"),
        ({"y": iter(Y)}, "y as a"),
        ({"validation_data": read_once()}, "validation_data as a generator"),
        ({"validation_data": (X, iter(Y))}, "validation_data as a"),
        ({"x": DATASET.repeat(), "y": None, "validation_split": None, "validation_data": DATASET}, "none"),
        ({"validation_data": DATASET.repeat()}, "none"),
        ({"x": None}, "x=None"),
        *(({"epochs": epochs}, repr(epochs)) for epochs in (0, -1, 1.5, True, "2", None)),
        ({"epoch": 2}, "'epoch'"),
        ({"initial_epoch": 1}, "'initial_epoch'"),
        ({"validation_split": None}, "neither"),
        ({"validation_split": 0}, "neither"),
        ({"x": DATASET, "y": None}, "validation_split=0.2"),
    ],
)
def test_data_and_arguments_of_fit(fit, received):
    refused(received, fit=fit)


def test_validation_is_needed_only_by_who_monitors_it():
    refused("neither", fit={"validation_split": None}, monitor="val_loss")
    found = search(monitor="accuracy", rounds=1).fit(*TRAIN, epochs=1)
    assert found.monitor == "accuracy"
    assert found.rounds[0].value == found.history[0]["accuracy"][0]


@pytest.mark.parametrize("name", ["val_auc", "auc"])
def test_a_monitor_that_is_not_logged_is_named_after_the_first_epoch(name):
    class Epochs(keras.callbacks.Callback):
        ended = 0

        def on_epoch_end(self, epoch, logs=None):
            Epochs.ended += 1

    with pytest.raises(LotteryError) as caught:
        search(monitor=name).fit(*TRAIN, **{**FIT, "epochs": 5}, callbacks=[Epochs()])
    assert Epochs.ended == 1
    assert str(caught.value).endswith(f"(accuracy, loss, val_accuracy, val_loss). Received: {name!r}")


LEGACY = """
import numpy as np, tf_keras, tf_lottery as lottery
model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
model.compile("adam", "mse")
for given in (model, lambda: model):
    try:
        lottery.LotterySearch(given, verbose=0).fit(np.ones((4, 4)), np.ones((4, 2)), validation_split=0.5)
    except lottery.LotteryError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_tf_keras_model_is_refused():
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [sys.executable, "-c", LEGACY], capture_output=True, text=True, env=environment, check=False
    )
    lines = ran.stdout.splitlines()
    assert len(lines) == 2, ran.stderr
    assert all(line.startswith("Expected") and "tf_keras" in line.split("Received: ")[1] for line in lines)
