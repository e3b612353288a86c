"""What `fit` and its callbacks keep: each round begins as the dense network did, or goes on as it did."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import callbacks, ops

from tests.search.models import FIT, TRAIN, VALIDATION, X, Y, search, small
from tf_lottery.errors import LotteryError


class Rates(callbacks.Callback):
    """The learning rate in each epoch, round by round."""

    def __init__(self):
        super().__init__()
        self.rounds = []

    def on_train_begin(self, logs=None):
        self.rounds.append([])

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.rounds[-1].append(float(self.model.optimizer.learning_rate))


@pytest.mark.parametrize(("point", "optimizer"), [("3ep", "restore"), ("13it", "reset")])
def test_a_schedule_whose_state_is_the_learning_rate_goes_on_from_the_rewind_point(point, optimizer):
    rates, halved = Rates(), callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    search(rounds=2, rewind_to=point, rewind_optimizer=optimizer).fit(
        *TRAIN, **{**FIT, "epochs": 5}, callbacks=[halved, rates]
    )
    dense, *tickets = rates.rounds
    assert dense == pytest.approx([5e-4, 25e-5, 125e-6, 625e-7, 3125e-8])
    assert tickets == [dense[3:]] * 2


@pytest.mark.parametrize("derived", [False, True], ids=["of_keras", "derived"])
def test_a_plateau_goes_on_with_what_it_has_seen(derived):
    class Derived(callbacks.ReduceLROnPlateau):
        pass

    kind = Derived if derived else callbacks.ReduceLROnPlateau
    plateau, rates = kind(monitor="loss", factor=0.5, patience=2, min_delta=1e9), Rates()
    search(rounds=2, rewind_to="2ep").fit(*TRAIN, **{**FIT, "epochs": 6}, callbacks=[plateau, rates])
    dense, *tickets = rates.rounds
    assert dense == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 25e-5])
    assert tickets == [dense[2:]] * 2


def test_variables_of_callbacks_and_losses_begin_anew_and_go_on_too():
    weight = keras.Variable(1.0, name="weight")
    model = small()

    def weighted(y, outputs):
        return weight * ops.mean(keras.losses.sparse_categorical_crossentropy(y, outputs))

    model.compile("adam", weighted, metrics=["accuracy"], jit_compile=False)
    seen = []

    class Grows(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append([])

        def on_epoch_begin(self, epoch, logs=None):
            seen[-1].append(float(weight.numpy()))

        def on_epoch_end(self, epoch, logs=None):
            weight.assign(2 * weight)

    search(model, rounds=1).fit(*TRAIN, **{**FIT, "epochs": 3}, callbacks=[Grows()])
    assert seen == [[1, 2, 4]] * 2
    seen.clear()
    weight.assign(1.0)
    search(model, rounds=1, rewind_to="1ep").fit(*TRAIN, **{**FIT, "epochs": 3}, callbacks=[Grows()])
    assert seen == [[1, 2, 4], [2, 4]]


def test_an_average_of_weights_begins_where_they_are():
    averages = []

    class Averages(callbacks.Callback):
        def on_train_begin(self, logs=None):
            optimizer = self.model.optimizer
            pairs = zip(
                optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
            )
            averages.append([(v.numpy(), a.numpy()) for v, a in pairs])

    optimizer = keras.optimizers.Adam(0.01, use_ema=True)
    search(small(optimizer), rounds=1, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[Averages()])
    assert all((variable == average).all() for variable, average in averages[1])


def test_what_a_callback_freezes_is_trained_again_in_the_next_round():
    flags = []

    class Freezes(callbacks.Callback):
        def on_train_begin(self, logs=None):
            flags.append(self.model.get_layer("hidden").trainable)

        def on_epoch_end(self, epoch, logs=None):
            self.model.get_layer("hidden").trainable = False

    search(rounds=1).fit(*TRAIN, **FIT, callbacks=[Freezes()])
    assert flags == [True, True]
    found = search(rounds=1, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[Freezes()])
    assert "A callback had changed which layers are trainable before the rewind point" in found.ended


def test_a_callback_that_compiles_is_refused():
    class Compiles(callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.compile("sgd", "mse")

    found = search(rounds=1).fit(*TRAIN, **FIT, callbacks=[Compiles()])
    assert "A callback has compiled the model with another SGD" in found.ended


def test_validation_every_few_epochs_still_monitors_accuracy():
    found = search(rounds=1).fit(*TRAIN, **{**FIT, "epochs": 4}, validation_freq=2)
    assert found.monitor == "val_accuracy"
    assert [r.epoch in (2, 4) for r in found.rounds] == [True, True]


def test_data_that_is_not_finite_ends_the_first_epoch():
    x, ended = np.array(TRAIN[0]), []
    x[3, 3] = np.nan
    each = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append(epoch))
    with pytest.raises(
        LotteryError, match="finite hidden/kernel.*after epoch 1.*NaN and infinity in the data"
    ):
        search().fit(x, TRAIN[1], **{**FIT, "epochs": 5}, callbacks=[each])
    assert ended == [0]


def growing(lengths):
    left = list(lengths)

    def examples():
        for batch in range(left.pop(0)):
            yield X[32 * (batch % 4) : 32 * (batch % 4) + 32], Y[32 * (batch % 4) : 32 * (batch % 4) + 32]

    signature = tf.TensorSpec((None, 64)), tf.TensorSpec((None,), tf.int32)
    return tf.data.Dataset.from_generator(examples, output_signature=signature)


def test_epochs_of_other_lengths_are_another_protocol():
    given = {"validation_data": VALIDATION, "epochs": 2}
    with pytest.raises(LotteryError, match="Expected 4 steps in each epoch.*Received: 3 in epoch 2"):
        search().fit(growing([4, 3]), **given)
    found = search(rounds=2).fit(growing([4, 4, 5, 5]), **given)
    assert "Received: 5 in epoch 1" in found.ended
    assert len(found.rounds) == 1
    with pytest.raises(LotteryError, match="Expected 3 steps in each epoch.*Received: 1 in epoch 2"):
        search().fit(growing([4]), **given, steps_per_epoch=3)


def test_a_checkpoint_of_a_class_derived_from_keras_keeps_the_best_of_each_round(tmp_path):
    class Mine(callbacks.ModelCheckpoint):
        begun = 0

        def on_train_begin(self, logs=None):
            self.begun += 1

    path = str(tmp_path / "best.weights.h5")
    mine = Mine(path, monitor="val_accuracy", save_best_only=True, save_weights_only=True)
    search(rounds=1).fit(*TRAIN, **FIT, callbacks=[mine])
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "best.round00.weights.h5",
        "best.round01.weights.h5",
    ]
    assert (mine.begun, mine.filepath) == (2, path)


@pytest.mark.parametrize("on_epoch", [False, True])
def test_the_weights_that_were_validated_are_kept_if_an_average_took_their_place(on_epoch):
    average = callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
    model = small(keras.optimizers.Adam(0.01, use_ema=True))
    found = search(model, rounds=1).fit(*TRAIN, **FIT, callbacks=[average])
    for round, record in enumerate(found.rounds):
        scores = found.trained(round=round).evaluate(*VALIDATION, verbose=0, return_dict=True)
        best = record.history["val_loss"][record.epoch - 1]
        assert (scores["accuracy"], scores["loss"]) == (pytest.approx(record.value), pytest.approx(best))


def test_loss_scaling_in_every_round():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy(before)
    found = search(model, rounds=1, controls=1).fit(*TRAIN, **FIT)
    scores = found.trained(round=1).evaluate(*VALIDATION, verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(found.rounds[1].value)
