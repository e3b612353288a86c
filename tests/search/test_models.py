"""Which models and data a search takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_lottery as lottery
from tests.search.models import (
    FIT,
    TABLE,
    TARGET,
    TRAIN,
    VALIDATION,
    Spy,
    X,
    Y,
    same,
    search,
    small,
    state,
    table,
)

BINARY = (Y > 4).astype(np.float32)[:, None]
FINITE = {"epochs": 2, "batch_size": 32, "validation_split": 0.2}


class OwnStep:
    """A `train_step` of the user's own."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.compute_metrics(x, y, outputs) | {"loss": loss, "twice": 2 * loss}


class Own(OwnStep, keras.Model):
    """A Functional model."""


@keras.saving.register_keras_serializable(package="search_tests")
class Subclassed(OwnStep, keras.Model):
    """A model that Keras can't copy."""

    def __init__(self, units=10, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden, self.out = layers.Dense(units, "relu", name="hidden"), layers.Dense(10, "softmax")

    def build(self, shape):
        self.hidden.build(shape)
        self.out.build((shape[0], self.units))
        super().build(shape)

    def call(self, x):
        return self.out(self.hidden(x))

    def get_config(self):
        return {"units": self.units}


def own_functional():
    inputs = keras.Input((64,))
    model = Own(inputs, layers.Dense(10, "softmax")(layers.Dense(10, "relu")(inputs)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def subclassed():
    model = Subclassed()
    model.build((None, 64))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def halves(found):
    assert found.densities == [1, pytest.approx(0.5, abs=0.01)]
    return found


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (own_functional, "model"),
        (subclassed, "model"),
        pytest.param(own_functional, "function", marks=pytest.mark.exhaustive),
        pytest.param(subclassed, "function", marks=pytest.mark.slow),
    ],
)
def test_a_train_step_of_the_users_own(build, given):
    spy = Spy()
    found = halves(
        search(build() if given == "model" else build, rounds=1, controls=1).fit(
            X, Y, **FINITE, callbacks=[spy]
        )
    )
    history = found.history[1]
    assert history["twice"] == pytest.approx([2 * v for v in history["loss"]])
    kept = spy.masks[1]
    for name, value in spy.begun[1].items():
        expected = np.where(kept[name], spy.begun[0][name], 0) if name in kept else spy.begun[0][name]
        assert (value == expected).all()
    trained = found.trained(round=1)
    assert type(trained).__name__ in ("Own", "Subclassed")
    assert not [v for v in trained.variables if "mask" in v.path]
    assert (
        sum(
            np.count_nonzero(v) == v.numpy().size // 2
            for v in trained.trainable_variables
            if len(v.shape) == 2
        )
        == 2
    )
    assert trained.evaluate(X[128:], Y[128:], verbose=0, return_dict=True)["accuracy"] == pytest.approx(
        found.rounds[1].value
    )
    assert not same(state(found.trained(round=0)), state(trained))


def test_a_regression_by_its_loss_or_by_an_error():
    by_loss = halves(search(table, rounds=1).fit(TABLE, TARGET, **FINITE))
    assert (by_loss.monitor, by_loss.rounds[0].mode) == ("val_loss", "min")
    by_error = halves(search(table, rounds=1, monitor="val_mae").fit(TABLE, TARGET, **FINITE))
    for found in (by_loss, by_error):
        assert [r.value for r in found.rounds] == [min(h[found.monitor]) for h in found.history]


@pytest.mark.slow
def test_the_area_under_a_curve():
    def build():
        model = keras.Sequential([keras.Input((64,)), layers.Dense(8), layers.Dense(1, "sigmoid")])
        metrics = [keras.metrics.AUC(name="auc")]
        model.compile("adam", "binary_crossentropy", metrics=metrics, jit_compile=False)
        return model

    found = halves(search(build, rounds=1, monitor="val_auc").fit(X, BINARY, **FINITE))
    assert (found.rounds[1].mode, found.rounds[1].value) == ("max", max(found.history[1]["val_auc"]))


def heads(names):
    inputs = {"first": keras.Input((32,), name="first"), "second": keras.Input((32,), name="second")}
    x = layers.Dense(8, "relu")(layers.Concatenate()(list(inputs.values())))
    digit, large = layers.Dense(10, "softmax", name="digit")(x), layers.Dense(1, "sigmoid", name="large")(x)
    model = keras.Model(inputs, {"digit": digit, "large": large} if names else [digit, large])
    losses = {"digit": "sparse_categorical_crossentropy", "large": "binary_crossentropy"}
    metrics = {"digit": ["accuracy"], "large": ["accuracy"]}
    given = (losses, metrics) if names else (list(losses.values()), list(metrics.values()))
    model.compile("adam", given[0], metrics=given[1], jit_compile=False)
    return model


@pytest.mark.parametrize("names", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_several_inputs_and_outputs_by_name_or_in_order(names):
    x = {"first": X[:, :32], "second": X[:, 32:]}
    y = {"digit": Y, "large": BINARY} if names else [Y, BINARY]
    found = halves(search(heads(names), rounds=1, monitor="val_large_accuracy").fit(x, y, **FINITE))
    assert [r.value for r in found.rounds] == [max(h["val_large_accuracy"]) for h in found.history]
    # Without a name none of the outputs is singled out.
    assert search(heads(names), rounds=1).fit(x, y, **FINITE).monitor == "val_loss"


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[32 * index : 32 * index + 32], Y[32 * index : 32 * index + 32]


DATASET = tf.data.Dataset.from_tensor_slices(TRAIN).batch(32)


@pytest.mark.parametrize(
    "fit",
    [
        {"x": DATASET},
        {"x": DATASET.filter(lambda x, y: True)},  # its length isn't known before it is read
        {"x": DATASET.repeat(), "steps_per_epoch": 4},
        {"x": Batches()},
        {"x": X[:128], "y": Y[:128], "batch_size": 32},
        {
            "x": np.concatenate([X, X[:10]]),
            "y": np.concatenate([Y, Y[:10]]),
            "batch_size": 32,
            "validation_split": 0.25,
        },
    ],
    ids=["dataset", "unknown_length", "repeated", "py_dataset", "arrays", "split"],
)
def test_data_in_every_form_gives_steps_and_epochs(fit):
    if "validation_split" not in fit:
        fit = fit | {"validation_data": VALIDATION}
    found = halves(search(rounds=1, rewind_to="1ep").fit(**fit, epochs=2))
    assert [(r.first_step, r.last_step, r.epochs) for r in found.rounds] == [(0, 8, [1, 2]), (4, 8, [2])]


@pytest.mark.slow
def test_weights_of_classes_and_examples_change_the_training():
    weights = np.linspace(0, 2, 128)
    given = ({}, {"class_weight": {d: 1.0 + d for d in range(10)}}, {"sample_weight": weights})
    losses = [halves(search(rounds=1).fit(*TRAIN, **FIT, **more)).history[1]["loss"][0] for more in given]
    assert len(set(losses)) == 3


def test_validation_every_other_epoch():
    found = halves(search(rounds=1).fit(*TRAIN, **{**FIT, "epochs": 4}, validation_freq=2))
    assert [len(h["val_accuracy"]) for h in found.history] == [2, 2]
    assert {r.epoch for r in found.rounds} <= {2, 4}


@pytest.mark.slow
def test_under_a_strategy_of_two_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = small()
    before, spy = state(model), Spy()
    found = halves(search(model, rounds=1).fit(*TRAIN, **FIT, callbacks=[spy]))
    assert found._network.model.distribute_strategy is strategy
    for name, value in spy.begun[1].items():
        kept = spy.masks[1].get(name, np.True_)
        assert (value == np.where(kept, before[name], 0)).all()


@pytest.mark.slow
def test_losses_that_no_file_can_hold():
    def mine(y, outputs):
        return keras.ops.mean((y - outputs) ** 2)

    model = table()
    model.compile("adam", mine)
    found = halves(search(model, rounds=1).fit(TABLE, TARGET, **FINITE))
    ticket = found.ticket(round=1)
    again = ticket.reinitialize(3)
    assert all((again.masks[p] == ticket.masks[p]).all() for p in ticket.masks)
    assert found.trained(round=1).loss is mine


def test_a_loss_that_is_not_finite_is_no_obstacle_where_accuracy_is_monitored():
    class Nan(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["loss"], logs["vector"] = float("nan"), np.ones(3)

    found = halves(search(rounds=1).fit(*TRAIN, **FIT, callbacks=[Nan()]))
    assert found.history[0]["loss"] == [None, None]
    assert "vector" not in found.history[0]
    assert found.records[0].final["loss"] is None


@pytest.mark.slow
def test_a_dense_network_that_diverges_is_refused_and_a_ticket_ends_the_search():
    class Diverges(keras.callbacks.Callback):
        def __init__(self, at):
            super().__init__()
            self.left = at

        def on_train_begin(self, logs=None):
            self.left -= 1

        def on_test_end(self, logs=None):
            logs["loss"] = float("nan") if self.left < 0 else logs["loss"]

        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = float("nan") if self.left < 0 else logs["val_loss"]

    with pytest.raises(lottery.LotteryError, match="finite val_loss.*nan after epoch 1"):
        search(monitor="val_loss").fit(*TRAIN, **FIT, callbacks=[Diverges(0)])
    found = search(monitor="val_loss").fit(*TRAIN, **FIT, callbacks=[Diverges(2)])
    assert found.densities == [1, 0.5]
    assert "finite val_loss" in found.ended
    assert found.ended in found.summary()


def test_layers_that_would_be_emptied_end_the_search():
    found = search(table, rate=0.95, rounds=5).fit(TABLE, TARGET, **FINITE)
    assert found.densities == [1]
    assert "empties" in found.ended
    with pytest.raises(lottery.LotteryError, match="No pruned round matches the dense network within 0"):
        found.matching_ticket()
