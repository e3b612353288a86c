"""What a search trains and gives back is the user's model, or it is refused before the first round."""

import json
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_lottery as lottery
from tests import fresh
from tests.search.models import FIT, PER_EPOCH, TRAIN, VALIDATION, X, search, small, state
from tf_lottery.errors import LotteryError
from tf_lottery.search.fit_run import FitRun

SHIFTED = (30 * TRAIN[0] - 400).astype(np.float32)
SHIFTED_VALIDATION = (30 * VALIDATION[0] - 400).astype(np.float32), VALIDATION[1]


def compiled(model, optimizer="adam", loss="sparse_categorical_crossentropy"):
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def normalizing():
    layer = layers.Normalization(name="scale")
    layer.adapt(SHIFTED)
    parts = [layer, layers.Dense(12, "relu", name="hidden"), layers.Dense(10, "softmax", name="output")]
    return compiled(keras.Sequential([keras.Input((64,)), *parts]), keras.optimizers.Adam(0.01))


LOADED = """
import json, sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
with np.load(sys.argv[2]) as data:
    print(json.dumps(model.evaluate(data["x"], data["y"], verbose=0, return_dict=True)))
"""


def test_a_model_with_adapted_layers_is_what_is_trained_kept_and_loaded_elsewhere(tmp_path):
    found = search(normalizing(), rounds=1, controls=1).fit(
        SHIFTED, TRAIN[1], validation_data=SHIFTED_VALIDATION, epochs=4, batch_size=32
    )
    np.savez(tmp_path / "data.npz", x=SHIFTED_VALIDATION[0], y=SHIFTED_VALIDATION[1])
    for round, record in enumerate(found.rounds):
        assert record.value > 0.3  # what isn't scaled stays at a tenth
        trained = found.trained(round=round)
        assert trained.evaluate(*SHIFTED_VALIDATION, verbose=0)[1] == pytest.approx(record.value)
    trained.save(tmp_path / "model.keras")
    printed = fresh.check(tmp_path / "model.keras", tmp_path / "data.npz", script=LOADED)
    assert json.loads(printed.splitlines()[-1])["accuracy"] == pytest.approx(record.value)
    control = found.records[-1]
    assert control.checks["reinit_kept"][:2] == ["model/scale/mean", "model/scale/variance"]
    assert "Not redrawn, since never drawn: scale/mean, scale/variance" in found.summary(tolerance=1)


def tied():
    inputs, encoder = keras.Input((64,)), layers.Dense(8, "relu", name="encoder")
    model = keras.Model(inputs, ops.einsum("bh,oh->bo", encoder(inputs), encoder.kernel))
    model.compile("adam", "mse", jit_compile=False)
    return model


def test_a_tied_model_needs_a_function_and_is_left_as_it_was():
    model = tied()
    before = state(model)
    with pytest.raises(LotteryError, match="uses the model's own encoder/kernel.*Give a function"):
        search(model).fit(X, X, validation_split=0.2, epochs=1)
    assert type(model) is type(tied())
    assert all((value == before[path]).all() for path, value in state(model).items())
    found = search(tied, rounds=1, controls=1).fit(X, X, validation_split=0.2, epochs=2)
    trained = found.trained(round=1)
    kernel, bias = (v.numpy() for v in trained.get_layer("encoder").weights)
    assert np.count_nonzero(kernel) == 256
    expected = np.maximum(X @ kernel + bias, 0) @ kernel.T
    np.testing.assert_allclose(trained.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-5)


class Constant(layers.Layer):
    """A graph's matrix, say, which is drawn as the layer is made."""

    def __init__(self, generator=None, **kwargs):
        super().__init__(**kwargs)
        self.matrix = (generator or np.random).normal(size=(64, 64)).astype(np.float32) / 8

    def call(self, x):
        return x @ self.matrix


def with_constant(unseeded=False):
    generator = np.random.default_rng() if unseeded else None
    parts = [Constant(generator, name="graph"), layers.Dense(10, "softmax")]
    return compiled(keras.Sequential([keras.Input((64,)), *parts]))


def test_a_constant_of_a_layer_is_that_of_the_training_or_refused():
    with pytest.raises(
        LotteryError, match="the copy's outputs differ from layer 'graph' on.*Give a function"
    ):
        search(with_constant()).fit(*TRAIN, **FIT)
    with pytest.raises(LotteryError, match="from layer 'graph' on.*seeds of Keras, NumPy and Python"):
        search(lambda: with_constant(unseeded=True)).fit(*TRAIN, **FIT)
    found = search(with_constant, rounds=1).fit(*TRAIN, **FIT)
    for round in (0, 1):
        scores = found.trained(round=round).evaluate(*VALIDATION, verbose=0, return_dict=True)
        assert scores["accuracy"] == pytest.approx(found.rounds[round].value)


class WithoutKeywords(layers.Layer):
    """A layer that Keras can't build again: its `__init__` takes no name."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(10, "softmax")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("controls", [0, 1])
def test_what_cannot_be_built_again_is_refused_before_the_first_round_for_its_cause(controls):
    inputs = keras.Input((64,))
    model = compiled(keras.Model(inputs, WithoutKeywords()(inputs)))
    for _ in range(2):  # the first attempt leaves it as it was
        with pytest.raises(LotteryError, match="WithoutKeywords: .*unexpected keyword.*Give a function"):
            search(model, controls=controls).fit(*TRAIN, **FIT)
    assert search(lambda: compiled(keras.Model(inputs, WithoutKeywords()(inputs))), rounds=1).fit(
        *TRAIN, **FIT
    )


def test_settings_of_an_optimizer_hold_in_every_round_and_tell_searches_apart(tmp_path):
    def excluded(names):
        optimizer = keras.optimizers.AdamW(0.01, weight_decay=30.0)
        optimizer.exclude_from_weight_decay(var_names=names)
        parts = [layers.Dense(10, "relu", name="hidden"), layers.Dense(10, "softmax", name="output")]
        return compiled(keras.Sequential([keras.Input((64,)), *parts]), optimizer)

    found = search(excluded(["kernel"]), rounds=1, directory=tmp_path).fit(*TRAIN, **FIT)
    for round in (0, 1):  # decayed kernels would be nothing by now: 0.7 of them goes each step
        assert np.abs(found.trained(round=round).get_layer("hidden").kernel).max() > 0.1
    with pytest.raises(LotteryError, match="differs in network"):
        search(excluded(["bias"]), rounds=1, directory=tmp_path).fit(*TRAIN, **FIT)


class Autoencoder(keras.Model):
    """A model with steps of its own and no call, of which `built` stays False."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((64,)), layers.Dense(12, "relu", name="hidden")])
        self.decoder = layers.Dense(64, name="decoder")
        self.decoder.build((None, 12))

    def loss_of(self, data):
        x = data[0] if isinstance(data, tuple) else data
        return ops.mean((self.decoder(self.encoder(x)) - x) ** 2)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self.loss_of(data)
        self.gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(self.gradients, self.trainable_weights)
        return {"loss": loss}

    def test_step(self, data):
        return {"loss": self.loss_of(data)}


def autoencoder(eagerly=False):
    model = Autoencoder()
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=eagerly, jit_compile=False)
    return model


def test_a_model_with_a_step_and_no_call_is_searched():
    arguments = {"validation_data": (X[128:],), "epochs": 2, "batch_size": 32}
    found = search(autoencoder, rounds=2, controls=1).fit(X[:128], **arguments)
    assert found.densities == [1, 0.5, 0.25]
    trained = found.trained(round=2)
    assert type(trained) is Autoencoder
    assert [np.count_nonzero(v) for v in trained.trainable_variables if len(v.shape) == 2] == [192, 192]
    assert trained.evaluate(X[128:], verbose=0, return_dict=True)["loss"] == pytest.approx(
        found.rounds[2].value
    )
    with pytest.raises(LotteryError, match="Give a function"):
        search(autoencoder()).fit(X[:128], **arguments)


def test_gradients_of_what_such_a_model_has_pruned_are_zero():
    model = lottery.make_prunable(autoencoder(eagerly=True))
    lottery.prune(model, rate=0.5)
    model.fit(X, epochs=1, verbose=0)
    masks = {path.split("/")[-2]: mask for path, mask in lottery.get_masks(model).items()}
    pairs = list(zip(model.trainable_weights, model.gradients, strict=True))
    for name, mask in masks.items():
        (gradient,) = (g.numpy() for v, g in pairs if name in v.path and v.name == "kernel")
        assert not gradient[~mask].any()
        assert gradient[mask].any()
    assert isinstance(lottery.strip(model).decoder, layers.Dense)
    assert type(model.decoder) is layers.Dense


def test_an_interrupted_search_leaves_the_model_as_it_was_and_can_be_begun_again():
    class Subclassed(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden, self.out = layers.Dense(10, "relu"), layers.Dense(10, "softmax")

        def call(self, x):
            return self.out(self.hidden(x))

        def get_config(self):
            return {}

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = compiled(Subclassed())
    model(X[:1])
    before = state(model)
    with pytest.raises(KeyboardInterrupt):
        search(model).fit(*TRAIN, **FIT, callbacks=[Interrupt()])
    assert type(model) is Subclassed
    assert all((value == before[path]).all() for path, value in state(model).items())
    found = search(model, rounds=1).fit(*TRAIN, **FIT)
    ticket = found.ticket(round=0).weights
    assert all((ticket[path] == before[path]).all() for path in ticket)
    with pytest.raises(LotteryError, match=r"already prunable. lottery.strip\(model\) makes it plain"):
        search(model)


def test_a_callback_that_refers_to_the_model_sees_what_is_trained():
    model, seen = small(), []
    each = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(state(model)["hidden/bias"])
    )
    found = search(model, rounds=1).fit(*TRAIN, **FIT, callbacks=[each])
    assert found._network.why_in_place() == "a callback refers to it"
    assert len(seen) == 4
    assert (seen[0] != seen[1]).any()
    assert found.trained(round=1).evaluate(*VALIDATION, verbose=0)[1] == pytest.approx(found.rounds[1].value)


def test_arguments_in_the_order_of_keras():
    found = search(rounds=1).fit(*TRAIN, 32, 2, validation_data=VALIDATION)
    assert found.rounds[0].last_step == 2 * PER_EPOCH
    with pytest.raises(LotteryError, match="Received: epochs twice"):
        search().fit(*TRAIN, 32, 2, epochs=2)


def test_two_threads_search_one_after_the_other(monkeypatch):
    inside, most = [], []
    train = FitRun._train

    def watched(self, *arguments):
        inside.append(1)
        most.append(len(inside))
        try:
            return train(self, *arguments)
        finally:
            inside.pop()

    monkeypatch.setattr(FitRun, "_train", watched)
    found = {}

    def run(seed):
        found[seed] = [r.value for r in search(seed=seed, rounds=1).fit(*TRAIN, **FIT).records]

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(found), max(most)) == (2, 1)


def test_a_search_within_a_search_is_refused():
    class Nested(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            search(rounds=1).fit(*TRAIN, **FIT)

    with pytest.raises(LotteryError, match="one search at a time"):
        search(rounds=1).fit(*TRAIN, **FIT, callbacks=[Nested()])
    assert search(rounds=1).fit(*TRAIN, **FIT)


FORKED = """
import os, sys
from tf_lottery.search.directory import Temporary
temporary = Temporary()
child = os.fork()
if not child:
    sys.exit(0)
os.waitpid(child, 0)
print(os.path.isdir(temporary.name))
name = temporary.name
del temporary
print(os.path.isdir(name))
"""


def test_a_forked_child_that_ends_leaves_the_directory_to_its_parent():
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]


MODEL = None


class Evaluates(keras.callbacks.Callback):
    """A notebook's callback: the model is global."""

    def on_epoch_end(self, epoch, logs=None):
        MODEL.get_layer("hidden").get_weights()


def test_a_callback_whose_method_names_a_global_model_sees_what_is_trained():
    global MODEL
    MODEL = small()
    found = search(MODEL, rounds=1).fit(*TRAIN, **FIT, callbacks=[Evaluates()])
    assert found._network.why_in_place() == "a callback refers to it"
    MODEL = None


def test_a_ticket_of_given_weights_has_no_control_but_by_a_function():
    def loaded():
        model = small()
        model.get_layer("hidden").set_weights([np.full((64, 10), 5.0), np.ones(10)])
        return model

    ticket = search(loaded(), rounds=1).fit(*TRAIN, **FIT).ticket(round=1)
    assert ticket.provenance["given"] == ["hidden/kernel", "hidden/bias"]
    with pytest.raises(LotteryError, match=r"given or trained \(hidden/kernel, hidden/bias\).*Give build="):
        ticket.reinitialize(1)
    drawn = ticket.reinitialize(1, build=loaded).weights
    assert (drawn["hidden/bias"] == 1).all()
    assert (drawn["output/kernel"] != ticket.weights["output/kernel"]).any()


class Needs(keras.optimizers.SGD):
    """An optimizer that its configuration doesn't build."""

    def __init__(self, factor, **settings):
        super().__init__(**settings)


def test_whatever_fails_before_the_first_round_leaves_the_model_as_it_was():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(10, "softmax")
            self.second = Needs(1)

        def call(self, x):
            return self.out(x)

    model = compiled(Subclassed())
    model(X[:1])
    with pytest.raises((TypeError, LotteryError)):
        search(model).fit(*TRAIN, **FIT)
    assert type(model) is Subclassed


def test_a_stateful_model_with_a_batch_of_its_own():
    def stateful():
        inputs = keras.Input(batch_shape=(32, 8, 8))
        outputs = layers.Dense(10, "softmax")(layers.SimpleRNN(6, stateful=True)(inputs))
        return compiled(keras.Model(inputs, outputs))

    x = TRAIN[0].reshape(-1, 8, 8)
    validation = VALIDATION[0].reshape(-1, 8, 8), VALIDATION[1]
    found = search(stateful(), rounds=1).fit(x, TRAIN[1], validation_data=validation, epochs=1, batch_size=32)
    assert found._network.why_in_place() is None


def test_infinity_that_is_not_trained_is_no_divergence():
    class Causal(layers.Layer):
        def build(self, shape):
            never = keras.initializers.Constant(-np.inf)
            self.mask = self.add_weight(shape=(2,), initializer=never, trainable=False)

        def call(self, x):
            return x

    parts = [Causal(), layers.Dense(10, "softmax")]
    assert search(compiled(keras.Sequential([keras.Input((64,)), *parts])), rounds=1).fit(*TRAIN, **FIT)


def test_data_of_unknown_shape_is_looked_at():
    def unknown(x, y):
        return tf.numpy_function(lambda a: a, (x,), tf.float32), y

    data = tf.data.Dataset.from_tensor_slices(TRAIN).batch(32).map(unknown)

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(10, "softmax")
            self.out.build((None, 64))

        def call(self, x):
            return self.out(tf.reshape(x, (-1, 64)))

    def build():
        model = compiled(Subclassed())
        model.build((None, 64))
        return model

    assert search(build, rounds=1).fit(data, validation_data=VALIDATION, epochs=1).densities == [1, 0.5]
