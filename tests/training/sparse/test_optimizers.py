"""The sparse engine's optimizers, beside Keras's on whole variables."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.config import TrainingConfig
from tf_lottery.training.optimizers import build_optimizer, is_kernel, l2_penalty
from tf_lottery.training.sparse.optimizers import make_update, unsupported
from tf_lottery.training.sparse.parameters import Parameters
from tf_lottery.training.sparse.slots import slot_names
from tf_lottery.training.state import capture, optimizer_variables

SHAPES = {"first/kernel": (30, 20), "first/bias": (20,), "second/kernel": (20, 8)}
MOMENTUM = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}}
DECAY = {"weight_decay": 0.1, "weight_decay_kind": "decoupled"}
SETTINGS = {
    "sgd": {"optimizer": "sgd"},
    "momentum": MOMENTUM,
    "nesterov": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.8, "nesterov": True}},
    "adam": {},
    "adam_options": {"optimizer_options": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}},
    "amsgrad": {"optimizer_options": {"amsgrad": True, "beta_2": 0.9}},
    "adamw": {"optimizer": "adamw"},
    "sgd_l2": {"optimizer": "sgd", "weight_decay": 0.1},
    "momentum_l2": {**MOMENTUM, "weight_decay": 0.1},
    "adam_l2": {"weight_decay": 0.1},
    "sgd_decoupled": {"optimizer": "sgd", **DECAY},
    "nesterov_decoupled": {
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9, "nesterov": True},
        **DECAY,
    },
    "adam_decoupled": DECAY,
    "adamw_decoupled": {"optimizer": "adamw", **DECAY},
    "clipnorm": {"optimizer": "sgd", "optimizer_options": {"clipnorm": 0.3}},
    "clipnorm_l2": {"weight_decay": 0.1, "optimizer_options": {"clipnorm": 0.3}},
    "global_clipnorm": {"optimizer": "sgd", "optimizer_options": {"global_clipnorm": 0.7}},
    "global_clipnorm_l2": {"weight_decay": 0.1, "optimizer_options": {"global_clipnorm": 0.7}},
    "clipvalue": {"optimizer_options": {"clipvalue": 0.01}},
    "clipvalue_l2": {"optimizer": "sgd", "weight_decay": 0.1, "optimizer_options": {"clipvalue": 0.01}},
    "clipping_off": {"optimizer_options": {"clipnorm": 0.0}},
    "decay_of_all": {"optimizer": "sgd", "optimizer_options": {"weight_decay": 0.1, "momentum": 0.9}},
    "adamw_decay_of_all": {"optimizer": "adamw", "optimizer_options": {"weight_decay": 0.1, "clipnorm": 0.3}},
}


class Both:
    """The same network's weights twice: whole with Keras's optimizer, and those that remain with ours."""

    def __init__(self, **settings):
        self.training = TrainingConfig(**settings)
        self.random = np.random.default_rng(0)
        self.masks = {name: np.ones(shape, bool) for name, shape in SHAPES.items()}
        self.masks["first/kernel"] = self.random.random(SHAPES["first/kernel"]) < 0.3
        dtype = np.dtype(self.training.precision)
        self.variables, self.parameters = {}, Parameters(dtype)
        for name, mask in self.masks.items():
            value = (self.random.normal(size=mask.shape) * mask).astype(dtype)
            self.variables[name] = keras.Variable(value, dtype=dtype.name, name=name.rpartition("/")[2])
            positions = None if mask.all() else np.flatnonzero(mask)
            self.parameters.add(name, mask.sum(), positions, kernel=is_kernel(self.variables[name]))
        self.parameters.allocate()
        self.parameters.read(capture(self.variables), self.parameters.values)
        self.update = make_update(self.training, self.parameters)
        self.trainable = list(self.variables.values())
        self.optimizer = build_optimizer(self.training, self.trainable)
        self.names = slot_names(self.optimizer, self.trainable, list(SHAPES))

    def step(self, size):
        """Take one step of both, with random gradients."""
        gradients = {
            name: (self.random.normal(size=mask.shape) * size * mask).astype(self.parameters.dtype)
            for name, mask in self.masks.items()
        }
        self.apply(gradients, np.float32(0.01 * self.random.random()))

    def apply(self, gradients, rate):
        """Take one step of both."""
        self.parameters.read(gradients, self.parameters.gradients)
        self.update.step(float(rate))
        l2 = self.training.weight_decay if self.training.weight_decay_kind == "l2" else 0.0
        with tf.GradientTape() as tape:
            products = [
                tf.reduce_sum(variable * gradients[name]) for name, variable in self.variables.items()
            ]
            loss = tf.add_n([*products, *l2_penalty(self.trainable, l2)])
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(tape.gradient(loss, [v.value for v in self.trainable]), self.trainable)

    def differences(self):
        """Yield what and its relative difference, of weights and slots."""
        whole = capture(self.variables)
        yield from self._differences(whole, self.parameters.values, {name: name for name in SHAPES})
        state = capture(optimizer_variables(self.optimizer))
        for slot, flat in self.update.slots.items():
            yield from self._differences(state, flat, self.names[slot])

    def _differences(self, whole, flat, names):
        ours = {name: np.zeros_like(array) for name, array in whole.items()}
        self.parameters.write(ours, flat, names)
        for name in names.values():
            yield name, np.linalg.norm(ours[name] - whole[name]) / np.linalg.norm(whole[name])

    def padding(self):
        """Return what lies between and after the parts, of weights and slots."""
        inside = np.zeros(len(self.parameters.values), bool)
        for part in self.parameters.parts:
            inside[part.first : part.last] = True
        assert not inside.all()
        return np.stack([array[~inside] for array in (self.parameters.values, *self.update.slots.values())])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_thirty_steps_are_those_of_keras(settings, precision):
    both = Both(precision=precision, **settings)
    assert unsupported(both.training) is None
    before = both.parameters.values.copy()
    for size in 10 ** np.random.default_rng(1).uniform(-3, 0, 30):
        both.step(size)
    allowed = {"float32": 1e-6, "float64": 1e-13}[precision]
    assert {what: far for what, far in both.differences() if not far <= allowed} == {}
    assert not np.array_equal(both.parameters.values, before)
    assert (both.padding() == 0).all()
    assert both.names.keys() - {"scalars"} == both.update.slots.keys()
    state = capture(optimizer_variables(both.optimizer))
    assert state[both.names["scalars"]["iteration"]] == both.update.iteration == 30
    assert state[both.names["scalars"]["learning_rate"]] == both.optimizer.learning_rate.numpy()


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_gradients_that_are_not_finite_leave_the_padding_zero(option):
    both = Both(optimizer_options={option: 1.0})
    gradients = {name: np.where(mask, np.float32(np.inf), 0) for name, mask in both.masks.items()}
    both.apply(gradients, np.float32(0.1))
    assert np.isnan(both.parameters.values).any()
    assert (both.padding() == 0).all()


def test_a_variable_without_weights_and_none_at_all_take_steps():
    for sizes in ((), (0,), (3, 0, 5)):
        parameters = Parameters(np.float32)
        for index, size in enumerate(sizes):
            parameters.add(f"{index}/kernel", size, kernel=True)
        parameters.allocate()
        for options in ({}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}):
            update = make_update(TrainingConfig(optimizer_options=options), parameters)
            update.step(0.1)
            assert (parameters.values == 0).all()


def test_a_state_that_is_restored_in_place_goes_on_with_the_same_bits():
    whole, resumed = Both(weight_decay=0.1), Both(weight_decay=0.1)
    for _ in range(3):
        whole.step(0.1)
    resumed.random.bit_generator.state = whole.random.bit_generator.state
    resumed.parameters.values[:] = whole.parameters.values
    for slot, flat in whole.update.slots.items():
        resumed.update.slots[slot][:] = flat
    resumed.update.iteration = whole.update.iteration
    for both in (whole, resumed):
        both.step(0.1)
    assert np.array_equal(whole.parameters.values, resumed.parameters.values)


@pytest.mark.parametrize(
    ("settings", "clause"),
    [
        ({"optimizer": "rmsprop"}, "optimizer rmsprop"),
        ({"precision": "mixed_float16"}, "precision mixed_float16"),
        ({"precision": "mixed_bfloat16"}, "precision mixed_bfloat16"),
        ({"optimizer_options": {"use_ema": True}}, "optimizer_options.use_ema"),
        (
            {"optimizer_options": {"gradient_accumulation_steps": 2}},
            "optimizer_options.gradient_accumulation_steps",
        ),
        ({"optimizer_options": {"loss_scale_factor": 2.0}}, "optimizer_options.loss_scale_factor"),
        ({"optimizer_options": {"learning_rate": 0.1}}, "optimizer_options.learning_rate"),
        ({"optimizer_options": {"momentum": 0.9}}, "optimizer_options.momentum"),
        ({"optimizer_options": {"beta_1": "0.9"}}, "optimizer_options.beta_1"),
        ({"optimizer_options": {"epsilon": 0.0}}, "optimizer_options.epsilon 0.0"),
        ({"optimizer_options": {"epsilon": 1e-60}}, "optimizer_options.epsilon 1e-60"),
    ],
)
def test_settings_that_the_engine_lacks_are_named(settings, clause):
    assert unsupported(TrainingConfig(**settings)) == clause


def test_settings_without_effect_are_supported():
    options = {
        "use_ema": False,
        "ema_momentum": 0.5,
        "gradient_accumulation_steps": None,
        "loss_scale_factor": None,
        "name": "mine",
        "clipnorm": None,
    }
    assert unsupported(TrainingConfig(optimizer_options=options)) is None
    assert unsupported(TrainingConfig(optimizer_options={"epsilon": 1e-60}, precision="float64")) is None
