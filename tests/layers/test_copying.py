"""A copy is the user's model: state that lies in no variable travels, or the model is taken in place."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_lottery as lottery
from tests import fresh
from tests.layers.cases import Drawn, register
from tf_lottery.errors import LotteryError
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model
from tf_lottery.layers.paths import variables_without_masks

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(3, 5, (40, 6)).astype(np.float32)
WORDS = np.array([["red", "blue"], ["green", "red"], ["red", "red"]])


def adapted(layer, data):
    layer.adapt(data)
    return layer


def sequential(inputs, *parts):
    return keras.Sequential([inputs, *parts, layers.Dense(3, name="output")])


ADAPTED = {
    "normalization": lambda: sequential(keras.Input((6,)), adapted(layers.Normalization(), X)),
    "discretization": lambda: sequential(
        keras.Input((6,)), adapted(layers.Discretization(num_bins=4), X), layers.Rescaling(0.1)
    ),
    "string_lookup": lambda: sequential(
        keras.Input((2,), dtype="string"), adapted(layers.StringLookup(output_mode="multi_hot"), WORDS)
    ),
    "tf_idf": lambda: sequential(
        keras.Input((2,), dtype="string"), adapted(layers.StringLookup(output_mode="tf_idf"), WORDS)
    ),
    "integer_lookup": lambda: sequential(
        keras.Input((2,), dtype="int64"),
        adapted(layers.IntegerLookup(output_mode="count"), np.array([[7, 3], [7, 99]])),
    ),
    "text_vectorization": lambda: sequential(
        keras.Input((), dtype="string"),
        adapted(layers.TextVectorization(output_sequence_length=4), WORDS.ravel()),
        layers.Embedding(9, 2),
        layers.Flatten(),
    ),
}
GIVEN = {
    "normalization": X,
    "discretization": X,
    "string_lookup": ops.convert_to_tensor(WORDS),
    "tf_idf": ops.convert_to_tensor(WORDS),
    "integer_lookup": np.array([[7, 3], [99, 1]]),
    "text_vectorization": ops.convert_to_tensor(WORDS[:, 0]),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_what_layers_have_adapted_to_is_in_every_copy(name, tmp_path):
    plain = ADAPTED[name]()
    expected = plain(GIVEN[name]).numpy()
    model = lottery.make_prunable(plain)
    assert model is not plain
    assert (model(GIVEN[name]).numpy() == expected).all()
    stripped = lottery.strip(model)
    assert (stripped(GIVEN[name]).numpy() == expected).all()
    stripped.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded(GIVEN[name]).numpy() == expected).all()
    assert (lottery.freeze_zeros(plain)(GIVEN[name]).numpy() == expected).all()


def test_features_of_a_feature_space_are_in_every_copy():
    data = {"size": X[:, 0], "colour": WORDS.ravel()[np.arange(40) % 6]}
    space = keras.utils.FeatureSpace(
        {"size": "float_normalized", "colour": "string_categorical"}, output_mode="concat"
    )
    space.adapt(tf.data.Dataset.from_tensor_slices(data))
    plain = keras.Model(space.get_inputs(), layers.Dense(2)(space.get_encoded_features()))
    given = {"size": ops.convert_to_tensor(X[:3, :1]), "colour": ops.convert_to_tensor(WORDS[:, :1])}
    expected = plain(given).numpy()
    model = lottery.make_prunable(plain)
    assert (model(given).numpy() == expected).all()
    assert (lottery.strip(model)(given).numpy() == expected).all()


def test_indices_that_come_as_floats_are_drawn_within_the_vocabulary():
    plain = sequential(keras.Input((5,)), layers.Embedding(4, 2), layers.Flatten())
    assert lottery.make_prunable(plain) is not plain


def tied():
    """An autoencoder whose decoder is the encoder's kernel, transposed."""
    inputs = keras.Input((6,))
    encoder = layers.Dense(4, name="encoder")
    return keras.Model(inputs, ops.einsum("bh,oh->bo", encoder(inputs), encoder.kernel))


def tied_lambda():
    inputs, encoder = keras.Input((6,)), layers.Dense(4, name="encoder")
    hidden = encoder(inputs)
    decoder = layers.Lambda(lambda h: ops.matmul(h, ops.transpose(encoder.kernel)), output_shape=(6,))
    return keras.Model(inputs, decoder(hidden))


@pytest.mark.parametrize("build", [tied, tied_lambda])
def test_tied_weights_stay_tied(build):
    plain = build()
    plain.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    model = lottery.make_prunable(plain)
    assert model is plain  # a copy would read the original's kernel
    lottery.prune(model, rate=0.5)
    model.fit(X, X, epochs=2, verbose=0)
    kernel, bias = (v.numpy() for v in model.get_layer("encoder").weights)
    assert np.count_nonzero(kernel) == 12
    np.testing.assert_allclose(model.predict(X, verbose=0), (X @ kernel + bias) @ kernel.T, rtol=1e-4)
    stripped = lottery.strip(model)
    assert (type(stripped), stripped is model) == (type(build()), True)


def test_a_ticket_or_rewind_point_brings_what_layers_make_of_their_variables(tmp_path):
    plain = sequential(keras.Input((6,)), adapted(layers.Normalization(name="scale"), X))
    expected = plain(X).numpy()
    model = lottery.make_prunable(plain)
    ticket = lottery.Ticket.of(model)
    fresh = sequential(keras.Input((6,)), layers.Normalization(name="scale"))
    assert (fresh(X).numpy() != expected).any()
    assert (ticket.apply(fresh)(X).numpy() == expected).all()
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    lottery.RewindManager(tmp_path).save(0, model, optimizer)
    other = lottery.make_prunable(sequential(keras.Input((6,)), layers.Normalization(name="scale")))
    lottery.RewindManager(tmp_path).restore(0, other)
    assert (other(X).numpy() == expected).all()


def test_a_constant_that_is_drawn_again_is_no_copy():
    plain = sequential(keras.Input((6,)), Drawn(name="drawn"))
    expected = plain(X).numpy()
    assert lottery.make_prunable(plain) is plain
    assert (plain(X).numpy() == expected).all()
    lottery.strip(plain)
    with pytest.raises(CannotCopy, match="the copy's outputs differ from layer 'drawn' on"):
        copy_model(plain, copy_layer)


def test_a_lambda_is_copied_with_its_function():
    plain = sequential(keras.Input((6,)), layers.Dense(4), layers.Lambda(lambda x: 2 * x))
    model = lottery.make_prunable(plain)
    assert model is not plain
    assert (model(X).numpy() == plain(X).numpy()).all()


@register
class Frozen(layers.Layer):
    """A layer that holds one that may be frozen."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(6), layers.Dense(6)

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)

    def call(self, x):
        return self.second(self.first(x))


def test_what_is_frozen_within_a_layer_stays_so():
    block = Frozen(name="block")
    plain = sequential(keras.Input((6,)), block)
    block.first.trainable = False
    for model in (lottery.make_prunable(plain), lottery.strip(lottery.make_prunable(plain))):
        assert model is not plain
        assert len(model.trainable_weights) == len(plain.trainable_weights) == 4
    assert "block/dense/kernel" not in lottery.get_masks(lottery.make_prunable(plain))


@pytest.mark.parametrize(("by", "wrapped"), [("var_names", False), ("var_list", True)])
def test_what_an_optimizer_does_not_decay_is_not_decayed_in_the_copy(by, wrapped):
    plain = sequential(keras.Input((6,)), layers.Dense(4, name="hidden"))
    adam = keras.optimizers.AdamW(0.01, weight_decay=0.5)
    adam.exclude_from_weight_decay(**{by: ["kernel"] if by == "var_names" else [plain.layers[0].kernel]})
    plain.compile(keras.optimizers.LossScaleOptimizer(adam) if wrapped else adam, "mse", jit_compile=False)
    model = lottery.make_prunable(plain)
    assert model is not plain
    for network in (model, lottery.strip(model)):
        optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer)
        decayed = [optimizer._use_weight_decay(v) for v in network.trainable_variables]
        assert decayed == [False, True, by == "var_list", True]
    for network in (plain, model):
        network.fit(X, X[:, :3], epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()


def test_attributes_of_an_optimizer_that_its_configuration_lacks_are_carried_over():
    class Mine(keras.optimizers.SGD):
        power = 1

    plain = sequential(keras.Input((6,)), layers.Dense(4))
    optimizer = Mine(0.1)
    optimizer.power = 3
    plain.compile(optimizer, "mse")
    assert lottery.make_prunable(plain).optimizer.power == 3


class Falls(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule without a configuration."""

    def __call__(self, step):
        return 0.1 / (1.0 + ops.cast(step, "float32"))


@pytest.mark.parametrize(
    ("rate", "wrapped"), [(Falls(), True), (lambda: 0.05, False)], ids=["schedule", "function"]
)
def test_a_learning_rate_that_keras_cannot_write_is_the_copys_too(rate, wrapped):
    plain = sequential(keras.Input((6,)), layers.Dense(4))
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    plain.compile(keras.optimizers.LossScaleOptimizer(optimizer) if wrapped else optimizer, "mse")
    model = lottery.make_prunable(plain)
    assert model is not plain
    for network in (plain, model):
        network.fit(X, X[:, :3], epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()


@pytest.mark.parametrize("what", ["loss", "metrics"])
def test_a_loss_or_metric_that_refers_to_the_model_keeps_it_in_place(what):
    plain = sequential(keras.Input((6,)), layers.Dense(4, name="hidden"))

    def penalized(y, outputs):
        return ops.mean((y - outputs) ** 2) + ops.sum(plain.get_layer("hidden").kernel ** 2)

    plain.compile("adam", penalized if what == "loss" else "mse", metrics=[penalized] * (what == "metrics"))
    assert lottery.make_prunable(plain) is plain


class Scaled(keras.Model):
    """A functional model of the user's own class, with an attribute."""

    scale = 1.0

    def train_step(self, data):
        return {name: self.scale * value for name, value in super().train_step(data).items()}


def test_a_model_with_attributes_of_its_own_is_not_copied_without_them():
    inputs = keras.Input((6,))
    plain = Scaled(inputs, layers.Dense(3)(inputs))
    assert lottery.make_prunable(plain) is not plain
    plain.scale = 2.0
    assert lottery.make_prunable(plain) is plain


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (lambda layer: layer.enable_lora(2), "LoRA"),
        (lambda layer: layer.quantize("int8"), r"quantized \(int8\)"),
    ],
    ids=["lora", "int8"],
)
def test_layers_that_do_not_compute_with_their_kernel_are_refused_by_name(change, received):
    plain = sequential(keras.Input((6,)), layers.Dense(4, name="hidden"))
    change(plain.get_layer("hidden"))
    with pytest.raises(LotteryError, match=f"Received: 'hidden', which .*{received}.*exclude"):
        lottery.make_prunable(plain)
    model = lottery.make_prunable(plain, exclude="hidden")
    assert list(lottery.get_masks(model)) == ["output/kernel"]
    assert (model(X).numpy() == plain(X).numpy()).all()
    assert received.split(" ")[0] in lottery.prunable_table(
        plain
    ) or "hidden/kernel" not in lottery.prunable_table(plain)


def test_lora_that_comes_after_the_masks_is_refused_wherever_they_are_counted():
    model = lottery.make_prunable(sequential(keras.Input((6,)), layers.Dense(4, name="hidden")))
    lottery.prune(model, rate=0.5)
    model.get_layer("hidden").layer.enable_lora(2)
    for asked in (lottery.sparsity, lottery.strip, lottery.prune, lottery.get_masks):
        with pytest.raises(LotteryError, match="Received: 'hidden', which has LoRA enabled"):
            asked(model)


def test_a_copy_carries_seeds_and_statistics_and_leaves_the_model_as_it_was():
    inputs = keras.Input((6,))
    hidden = layers.Dropout(0.5, seed=3)(layers.BatchNormalization()(layers.Dense(4)(inputs)))
    plain = keras.Model(inputs, layers.Dense(2)(hidden))
    before = [v.numpy().copy() for v in plain.variables]
    model = lottery.make_prunable(plain)
    for ours, theirs, value in zip(variables_without_masks(model), plain.variables, before, strict=True):
        assert (ours.numpy() == value).all()
        assert (theirs.numpy() == value).all()
    assert (model(X, training=True).numpy() == plain(X, training=True).numpy()).all()


class Counts(layers.Layer):
    """State in a variable of TensorFlow's own, which Keras doesn't know."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = tf.Variable(0.0)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + self.calls


def test_comparing_leaves_variables_of_tensorflow_as_they_were():
    plain = sequential(keras.Input((6,)), Counts())
    assert lottery.make_prunable(plain) is not plain
    assert plain.layers[0].calls.numpy() == 0
    plain.layers[0].calls.assign(5.0)
    assert lottery.make_prunable(plain) is plain  # the copy would begin to count anew
    assert plain.layers[0].calls.numpy() == 5


@register
class Reversed(layers.Layer):
    """Gradients go back with another factor, which its configuration leaves out."""

    factor = 1.0

    def call(self, x):
        @tf.custom_gradient
        def reverse(value):
            return tf.identity(value), lambda upstream: -self.factor * upstream

        return reverse(x)


def test_a_copy_with_other_gradients_is_none():
    plain = sequential(keras.Input((6,)), layers.Dense(4), Reversed())
    assert lottery.make_prunable(plain) is not plain
    plain.layers[1].factor = 0.1
    assert lottery.make_prunable(plain) is plain


@register
class Half(layers.Layer):
    """A part of the gradient is stopped, by a flag that its configuration leaves out."""

    half = False

    def call(self, x):
        first, second = x[:, :2], x[:, 2:]
        return ops.concatenate([ops.stop_gradient(first) if self.half else first, second], -1)


def test_a_copy_in_which_a_part_learns_that_should_not_is_none():
    plain = sequential(keras.Input((6,)), layers.Dense(4), Half())
    plain.layers[1].half = True
    assert lottery.make_prunable(plain) is plain


def test_loss_scaling_goes_along_whatever_the_policy_is_by_then():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        plain = sequential(keras.Input((6,)), layers.Dense(4))
        plain.compile("adam", "mse", jit_compile=False)
    finally:
        keras.config.set_dtype_policy(before)
    model = lottery.make_prunable(plain)
    assert model is not plain
    for network in (model, lottery.strip(model)):
        assert type(network.optimizer) is type(plain.optimizer) is keras.optimizers.LossScaleOptimizer
    for network in (plain, model):
        network.fit(X, X[:, :3], shuffle=False, verbose=0)
    for ours, theirs in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()


@register
class Global(layers.Layer):
    """Draws from TensorFlow's global generator."""

    def call(self, x, training=False):
        return x * tf.random.uniform(tf.shape(x)) if training else x


def test_what_draws_from_global_generators_is_copied_and_they_stay_as_they_were():
    plain = sequential(keras.Input((6,)), Global(), layers.Dense(4))
    keras.utils.set_random_seed(3)
    expected = np.random.random(), tf.random.uniform((3,)).numpy()
    keras.utils.set_random_seed(3)
    assert lottery.make_prunable(plain) is not plain
    assert np.random.random() == expected[0]
    assert (tf.random.uniform((3,)).numpy() == expected[1]).all()


class Alpha(keras.Model):
    """A functional model that keeps a setting under a private name."""

    _alpha = 1.0


UNSEEDED = """
import keras
import tf_lottery as lottery
plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
print(lottery.make_prunable(plain) is not plain)
"""


def test_a_process_in_which_nothing_was_seeded_copies_too():
    assert fresh.check(script=UNSEEDED).split()[-1] == "True"


def test_private_attributes_of_a_users_class_count_too():
    inputs = keras.Input((6,))
    plain = Alpha(inputs, layers.Dense(3)(inputs))
    plain.compile("adam", "mse")
    plain.fit(X, X[:, :3], verbose=0)
    assert lottery.make_prunable(plain) is not plain
    plain._alpha = 100.0
    assert lottery.make_prunable(plain) is plain


def test_state_of_an_optimizer_that_cannot_go_along_is_said():
    plain = sequential(keras.Input((6,)), layers.Dense(4, name="hidden"))
    plain.compile("adam", "mse", jit_compile=False)
    plain.fit(X, X[:, :3], verbose=0)
    plain.get_layer("hidden").trainable = False
    with pytest.warns(UserWarning, match="The optimizer's state isn't copied"):
        lottery.make_prunable(plain)
