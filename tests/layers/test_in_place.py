"""Subclassed models: made prunable in place, and plain again without a trace."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_lottery as lottery
from tests import fresh
from tests.layers.cases import assert_equal, assert_zeros, register, zero_like
from tf_lottery.layers.access import kernels
from tf_lottery.layers.paths import holders, variables_without_masks


@register
class Held(keras.Model):
    """Layers in a list, in a dict, shared; dropout and statistics."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.listed = [layers.Dense(6, "relu"), layers.BatchNormalization(), layers.Dropout(0.3)]
        self.named = {"left": layers.Dense(6), "right": layers.Dense(6, kernel_regularizer="l2")}
        self.shared = layers.Dense(6)
        self.head = layers.Dense(2)

    def build(self, shape):
        self.call(keras.Input(batch_shape=shape))

    def call(self, x, training=None):
        for layer in self.listed:
            x = layer(x)
        x = self.named["left"](x) * self.named["right"](x)
        return self.head(self.shared(self.shared(x)))


@register
class Nested(keras.Model):
    """A subclassed model in another, and a Functional one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Held()
        inputs = keras.Input((2,))
        self.functional = keras.Model(inputs, layers.Dense(3, "tanh")(inputs))
        self.head = layers.Dense(2)

    def build(self, shape):
        self.call(keras.Input(batch_shape=shape))

    def call(self, x):
        return self.head(self.functional(self.inner(x)))


class Unregistered(Nested):
    """Known to Keras by `custom_objects` only."""


class OwnStep:
    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return {"loss": loss}


@register
class OwnSequential(OwnStep, keras.Sequential):
    pass


@register
class OwnFunctional(OwnStep, keras.Model):
    pass


def functional_with_a_subclassed_model():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(Held()(layers.Dense(4)(inputs))))


def own_functional():
    inputs = keras.Input((4,))
    return OwnFunctional(inputs, layers.Dense(2)(layers.Dense(5, "relu")(inputs)))


MODELS = {
    "held": Held,
    "nested": Nested,
    "unregistered": Unregistered,
    "own_sequential": lambda: OwnSequential([layers.Dense(5, "relu"), layers.Dense(2)]),
    "own_functional": own_functional,
    "functional_with_subclassed": functional_with_a_subclassed_model,
}
IN_PLACE = ("held", "nested", "unregistered", "own_sequential")


def plain(name):
    """A built plain model, its weights the same each time."""
    keras.utils.set_random_seed(3)
    model = MODELS[name]()
    if not model.built:
        model.build((None, 4))
    return model


def compiled(model, eager=True):
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False, run_eagerly=eager)
    return model


def data():
    random = np.random.default_rng(1)
    return random.normal(size=(12, 4)).astype(np.float32), random.normal(size=(12, 2)).astype(np.float32)


def fit(model, seed=5):
    keras.utils.set_random_seed(seed)
    model.fit(*data(), batch_size=6, epochs=1, shuffle=False, verbose=0)


def call(model):
    return model(data()[0]).numpy()


def gradients(model):
    x, y = data()
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = tf.reduce_mean((outputs - y) ** 2) + sum(model.losses)
    return outputs.numpy(), [
        g.numpy() for g in tape.gradient(loss, [v.value for v in model.trainable_variables])
    ]


@pytest.mark.parametrize(
    ("name", "eager"),
    [
        *((name, True) for name in MODELS if name != "unregistered"),
        pytest.param("nested", False, marks=pytest.mark.slow),
        *(
            pytest.param(name, False, marks=pytest.mark.exhaustive)
            for name in MODELS
            if name not in ("unregistered", "nested")
        ),
    ],
)
def test_outputs_gradients_and_training_are_those_of_the_plain_model_with_zeros(name, eager):
    theirs, model = compiled(plain(name), eager), compiled(lottery.make_prunable(plain(name)), eager)
    for network in (theirs, model):
        fit(network)
    assert_equal(theirs, model)
    lottery.prune(model, rate=0.5)
    zero_like(theirs, model)
    masks = {id(kernel): kernel_mask.numpy() for kernel, kernel_mask in kernels(model).values()}
    (outputs, ours), (expected, dense) = gradients(model), gradients(theirs)
    assert outputs.tobytes() == expected.tobytes()
    for variable, gradient, other in zip(model.trainable_variables, ours, dense, strict=True):
        assert (gradient == np.where(masks.get(id(variable), True), other, 0)).all(), variable.path
    for network in (theirs, model):
        network.train_function = None
        fit(network, seed=6)
    assert_zeros(model, 0.5)
    assert_equal(theirs, model)


def test_only_what_keras_cannot_copy_is_changed_in_place():
    for name in MODELS:
        model = plain(name)
        prunable = lottery.make_prunable(model)
        assert (prunable is model) is (name in IN_PLACE), name
        assert isinstance(prunable, type(plain(name)))
        if name.startswith("own"):
            assert prunable.train_step.__func__ is OwnStep.train_step


def test_compile_state_is_kept():
    model = compiled(plain("held"))
    fit(model)
    optimizer = model.optimizer
    before = [np.asarray(v) for v in optimizer.variables]
    assert lottery.make_prunable(model).optimizer is optimizer
    for one, other in zip(before, optimizer.variables, strict=True):
        assert (one == other.numpy()).all()
    lottery.prune(model, rate=0.5)
    assert int(optimizer.iterations) == 2
    for kernel, kernel_mask in kernels(model).values():
        slots = [v for v in optimizer.variables if v.name.startswith(kernel.path.replace("/", "_") + "_")]
        assert len(slots) == 2
        for slot in slots:
            assert not slot.numpy()[~kernel_mask.numpy()].any()
            assert slot.numpy()[kernel_mask.numpy()].any()
    fit(model)
    assert_zeros(model, 0.5)
    assert lottery.strip(model).optimizer is optimizer
    assert int(optimizer.iterations) == 4


IN_A_FRESH_PROCESS = """
import sys, keras, numpy as np, tf_lottery
from tests.layers.test_in_place import Unregistered, assert_zeros, call, data, kernels, plain
folder = sys.argv[1]
for name in ("unregistered", "own_sequential"):
    objects = {"Unregistered": Unregistered}
    model = keras.models.load_model(f"{folder}/{name}.keras", custom_objects=objects)
    expected = np.load(f"{folder}/{name}.npy")
    assert (call(model) == expected).all(), name
    assert_zeros(model, 0.5)
    model.train_on_batch(*data())
    assert_zeros(model, 0.5)
    model = tf_lottery.make_prunable(plain(name))
    model.load_weights(f"{folder}/{name}.weights.h5")
    assert_zeros(model, 0.5)
    assert (call(model) == expected).all(), name
"""


def test_loaded_in_a_fresh_process_unchanged(tmp_path):
    for name in ("unregistered", "own_sequential"):
        model = compiled(lottery.make_prunable(plain(name)))
        lottery.prune(model, rate=0.5)
        fit(model)
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
        np.save(tmp_path / f"{name}.npy", call(model))
    fresh.check(tmp_path, script=IN_A_FRESH_PROCESS)


@pytest.mark.parametrize("name", ["held", "nested", "own_sequential"])
def test_weights_of_a_plain_model_can_be_loaded_and_are_masked(name, tmp_path):
    trained = compiled(plain(name))
    fit(trained)
    trained.save_weights(tmp_path / "plain.weights.h5")
    model = lottery.make_prunable(plain(name))
    lottery.prune(model, rate=0.5)
    masks = lottery.get_masks(model)
    model.load_weights(tmp_path / "plain.weights.h5")
    assert_zeros(model, 0.5)
    assert all((lottery.get_masks(model)[path] == mask).all() for path, mask in masks.items())
    zero_like(trained, model)
    assert (call(model) == call(trained)).all()


def assert_no_trace(model, like):
    assert type(model) is type(like)
    assert [(v.name, v.shape) for v in model.variables] == [(v.name, v.shape) for v in like.variables]
    assert model.__dict__.keys() == like.__dict__.keys()
    assert not list(holders(model))
    for variable in model.variables:
        assert not {"assign", "force"} & variable.__dict__.keys()
        assert variable.constraint is None
    kernel = next(v for v in model.trainable_variables if len(v.shape) == 2)
    kernel.assign(np.ones(kernel.shape))
    assert (kernel.numpy() == 1).all()


@pytest.mark.parametrize("name", ["held", "nested", "own_sequential"])
def test_stripped_without_a_trace(name, tmp_path):
    model = compiled(lottery.make_prunable(plain(name)))
    lottery.prune(model, rate=0.5)
    fit(model)
    before = call(model)
    assert lottery.strip(model) is model
    assert (call(model) == before).all()
    model.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as archive:
        config = archive.read("config.json").decode()
    assert "tf_lottery" not in config
    assert "Prunable" not in config
    assert json.loads(config)["class_name"] == type(plain(name)).__name__
    assert (call(keras.models.load_model(tmp_path / "plain.keras")) == before).all()
    fit(model)
    like = compiled(plain(name))
    fit(like)
    assert (call(model) != before).any()
    assert_no_trace(model, like)


def test_two_at_once_do_not_meet():
    first, second = lottery.make_prunable(plain("held")), lottery.make_prunable(plain("nested"))
    third = lottery.make_prunable(plain("held"))
    lottery.prune(first, rate=0.5)
    lottery.prune(second, rate=0.3)
    assert lottery.sparsity(third) == 0
    assert type(first) is type(third)
    assert type(first) is not type(second)
    for model in (first, second):
        fit(compiled(model))
    assert_zeros(first, 0.5)
    assert_zeros(second, 0.3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(first))
    assert isinstance(again, Held)
    lottery.strip(second)
    fit(first)
    assert_zeros(first, 0.5)


def test_pruned_and_stripped_twice():
    model = plain("held")
    for rate in (0.3, 0.6):
        lottery.make_prunable(model)
        assert lottery.sparsity(model) == 0
        lottery.prune(model, rate=rate)
        fit(compiled(model))
        assert_zeros(model, rate)
        lottery.strip(model)
        with pytest.raises(lottery.LotteryError, match="make_prunable"):
            lottery.prune(model, rate=0.5)
    fit(compiled(model))
    assert all(np.count_nonzero(v) == np.size(v) for v in model.trainable_variables if v.name == "kernel")
    like = compiled(plain("held"))
    fit(like)
    assert_no_trace(model, like)


def test_zeros_of_a_stripped_model_can_be_kept_again():
    model = lottery.make_prunable(plain("held"))
    lottery.prune(model, rate=0.6)
    lottery.strip(model)
    assert lottery.freeze_zeros(model) is model
    fit(compiled(model))
    assert_zeros(model, 0.6)


def test_a_model_that_keras_cannot_build_when_it_loads_it_says_so(tmp_path):
    @register
    class Unbuilt(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(3)

        def call(self, x, *, twice):
            return self.dense(x) * twice

        def get_build_config(self):
            return None

    model = Unbuilt()
    model(np.ones((2, 4), np.float32), twice=2.0)
    lottery.prune(lottery.make_prunable(model), rate=0.5)
    model.save(tmp_path / "model.keras")
    with pytest.raises(lottery.LotteryError, match="Expected a model that Keras can build.*Unbuilt"):
        keras.models.load_model(tmp_path / "model.keras")


def test_variables_are_in_the_order_of_the_plain_model():
    model = lottery.make_prunable(plain("nested"))
    expected = [v.path.split("/")[-1] for v in plain("nested").variables]
    assert [v.path.split("/")[-1] for v in variables_without_masks(model)] == expected
