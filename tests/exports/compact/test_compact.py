"""Dead units are gone, and the model answers as before."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tests.layers.cases import Drawn
from tf_lottery.errors import LotteryError
from tf_lottery.exports.compact.compact import Compacted, compact
from tf_lottery.models.lenet import lenet_300_100
from tf_lottery.models.resnet import resnet20


def fill(model: keras.Model, density: float = 1.0, seed: int = 0) -> keras.Model:
    """Draw weights, biases and statistics; of kernels, zeros beyond a density."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        values = random.normal(size=variable.shape)
        if variable.name == "moving_variance":
            values = np.abs(values) + 0.5
        if "kernel" in variable.name:
            values *= (random.random(variable.shape) < density) / np.sqrt(values[..., 0].size * density)
        variable.assign(values)
    return model


def kill(layer: keras.Layer, units, bias: float = 0.0) -> None:
    """Take all incoming weights from units."""
    kernel = np.array(layer.kernel)
    kernel[..., units] = 0
    layer.kernel.assign(kernel)
    if layer.use_bias:
        layer.bias.assign(np.where(np.isin(np.arange(kernel.shape[-1]), units), bias, layer.bias))


def unread(layer: keras.Layer, inputs) -> None:
    """Take all weights of inputs."""
    kernel = np.array(layer.kernel)
    kernel[..., inputs, :] = 0
    layer.kernel.assign(kernel)


def checked(model: keras.Model, reasons: tuple[str, ...] = ()) -> Compacted:
    """Compact, and hold the outputs against each other, and the reasons against those given."""
    before = [np.array(v) for v in model.variables]
    found = compact(model)
    inputs = [
        np.random.default_rng(5).normal(size=(16, *x.shape[1:])).astype("float32") for x in model.inputs
    ]
    same_outputs(model, found.model, inputs)
    for now, then in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert [layer.name for layer in found.model.layers] == [layer.name for layer in model.layers]
    assert type(found.model) is type(model)
    for name, (_, after) in found.units.items():
        assert found.model.get_layer(name).kernel.shape[-1] == after
    assert len(found.left) == len(reasons), found.left
    for reason in reasons:
        assert any(reason in sentence for sentence in found.left), (reason, found.left)
    return found


def same_outputs(model: keras.Model, other: keras.Model, inputs: list[np.ndarray]) -> None:
    inputs = inputs if len(inputs) > 1 else inputs[0]
    expected, outputs = (keras.tree.flatten(each(inputs, training=False)) for each in (model, other))
    for theirs, ours in zip(expected, outputs, strict=True):
        theirs, ours = np.array(theirs), np.array(ours)
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
        assert (ours.argmax(-1) == theirs.argmax(-1)).all()
        assert np.abs(theirs).max() > 0


def chain(*parts: keras.Layer, shape: tuple[int, ...] = (5,)) -> keras.Model:
    return fill(keras.Sequential([keras.Input(shape), *parts]))


@pytest.mark.parametrize(
    "activation",
    ["relu", "tanh", "sigmoid", None, "gelu", layers.LeakyReLU(), keras.ops.relu, lambda x: x * x],
)
def test_a_unit_without_weights_becomes_a_bias_of_the_next_layer(activation):
    model = chain(layers.Dense(6, activation, name="a"), layers.Dense(4, use_bias=False, name="b"))
    kill(model.get_layer("a"), [1, 4], bias=0.7)
    if getattr(activation, "__name__", "") == "<lambda>":
        assert compact(model).units == {}
        return
    found = checked(model)
    assert found.units == {"a": (6, 4)}
    value = np.array(model.get_layer("a")(np.zeros((1, 5))))[0, 1]
    assert value != 0
    kernel = np.array(model.get_layer("b").kernel)
    np.testing.assert_allclose(found.model.get_layer("b").bias, value * (kernel[1] + kernel[4]), rtol=1e-5)


def test_no_bias_is_made_where_none_is_needed():
    model = chain(
        layers.Dense(6, "relu", name="a"),
        layers.Dense(4, "relu", use_bias=False, name="b"),
        layers.Dense(3, name="c"),
    )
    kill(model.get_layer("a"), [1, 4], bias=-0.7)
    kill(model.get_layer("a"), [5], bias=0.7)  # which only a unit reads that isn't read
    kernel = np.array(model.get_layer("b").kernel)
    kernel[5, :3] = 0
    model.get_layer("b").kernel.assign(kernel)
    unread(model.get_layer("c"), [3])
    found = checked(model)
    assert found.units == {"a": (6, 3), "b": (4, 3)}
    assert not found.model.get_layer("b").use_bias


def test_chains_die_in_both_directions():
    names = "abcd"
    model = chain(*(layers.Dense(6, "tanh", name=name) for name in names), layers.Dense(3, name="out"))
    kernels = {name: np.array(model.get_layer(name).kernel) for name in (*names, "out")}
    kernels["a"][:, 0] = 0  # constant, and so is what it alone feeds
    kernels["b"][1:, 0] = kernels["b"][0, 1:] = 0
    kernels["c"][1:, 0] = 0
    kernels["out"][5] = 0  # unread, and so is what feeds it alone
    kernels["d"][4, :5] = 0
    kernels["c"][3, [0, 1, 2, 3, 5]] = 0
    for name, kernel in kernels.items():
        model.get_layer(name).kernel.assign(kernel)
    assert checked(model).units == {"a": (6, 5), "b": (6, 4), "c": (6, 4), "d": (6, 5)}


def test_a_network_that_is_constant_keeps_one_unit_a_layer():
    model = chain(
        layers.Dense(6, "relu", name="a"), layers.Dense(4, "relu", name="b"), layers.Dense(3, name="c")
    )
    unread(model.get_layer("b"), range(6))
    reasons = (
        "a: 1 dead unit kept",
        "b: 1 dead unit kept",
        "c: 3 constant units kept, since the model's outputs",
    )
    found = checked(model, reasons)
    assert found.units == {"a": (6, 1), "b": (4, 1)}
    assert not np.array(found.model.get_layer("c").kernel).any()


def test_valid_convolutions_fold_any_constant_with_strides_too():
    model = chain(
        layers.Conv2D(6, 3, activation="relu", name="a"),
        layers.Conv2D(5, 3, strides=2, use_bias=False, activation="relu", name="b"),
        layers.Conv2D(4, 1, padding="same", name="c"),
        shape=(11, 11, 2),
    )
    kill(model.get_layer("a"), [0, 2], bias=0.7)
    kill(model.get_layer("b"), [3])
    found = checked(model)
    assert found.units == {"a": (6, 4), "b": (5, 4)}
    assert found.model.get_layer("b").use_bias


@pytest.mark.parametrize(("conv", "padding"), [(layers.Conv1D, "causal"), (layers.Conv2D, "same")])
def test_padding_lets_only_zero_be_folded(conv, padding):
    shape = (8, 2) if conv is layers.Conv1D else (8, 8, 2)
    model = chain(conv(6, 3, activation="relu", name="a"), conv(4, 3, padding=padding, name="b"), shape=shape)
    kill(model.get_layer("a"), [0, 2, 5], bias=-0.7)
    kill(model.get_layer("a"), [1, 3], bias=0.7)
    reason = "a: 2 constant units kept, since padding makes a constant channel inexact at the border of b"
    assert checked(model, (reason,)).units == {"a": (6, 3)}


def test_padding_with_zeros_lets_only_zero_stay_constant():
    model = chain(
        layers.Conv2D(6, 3, activation="relu", name="a"),
        layers.ZeroPadding2D(1),
        layers.Conv2D(4, 3, name="b"),
        shape=(8, 8, 2),
    )
    kill(model.get_layer("a"), [0, 2, 5], bias=-0.7)
    kill(model.get_layer("a"), [1], bias=0.7)
    reason = "a: 1 constant unit kept, since padded or added to others, they vary where b reads them"
    assert checked(model, (reason,)).units == {"a": (6, 3)}


@pytest.mark.parametrize(
    "pool",
    [
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.AveragePooling2D(3, 2, padding="same"),
        layers.MaxPooling2D(),
        layers.AveragePooling2D(2),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.GlobalAveragePooling2D(keepdims=True),
    ],
)
def test_pooling_keeps_constants_at_the_border_too(pool):
    model = chain(
        layers.Conv2D(6, 3, activation="tanh", name="a"),
        pool,
        layers.Conv2D(4, 1, name="b"),
        shape=(9, 9, 2),
    )
    kill(model.get_layer("a"), [0, 4], bias=-0.7)
    assert checked(model).units == {"a": (6, 4)}


def test_batch_normalization_moves_a_constant_and_makes_one():
    model = chain(
        layers.Conv2D(6, 3, use_bias=False, name="a"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.Conv2D(4, 3, use_bias=False, name="b"),
        layers.BatchNormalization(scale=False, center=False),
        shape=(8, 8, 2),
    )
    kill(model.get_layer("a"), [0, 4])
    norm = model.get_layer("norm")
    norm.gamma.assign(np.where(np.arange(6) == 2, 0, norm.gamma))
    norm.beta.assign(np.full(6, 2.0))
    found = checked(model)
    assert found.units == {"a": (6, 3)}
    np.testing.assert_array_equal(found.model.get_layer("norm").gamma, np.array(norm.gamma)[[1, 3, 5]])


def test_flatten_repeats_channels_over_positions():
    model = chain(
        layers.Conv2D(4, 3, activation="relu", name="a"),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dense(5, name="b"),
        shape=(5, 5, 2),
    )
    kill(model.get_layer("a"), [1], bias=0.7)
    unread(model.get_layer("b"), np.arange(9) * 4 + 2)  # everywhere
    unread(model.get_layer("b"), np.arange(8) * 4 + 3)  # but at one position
    found = checked(model)
    assert found.units == {"a": (4, 2)}
    assert found.model.get_layer("b").kernel.shape == (18, 5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_depthwise_convolutions_pass_on_and_make_constants(padding):
    model = chain(
        layers.Conv2D(6, 1, activation="relu", name="a"),
        layers.DepthwiseConv2D(3, padding=padding, activation="relu", name="depthwise"),
        layers.Conv2D(4, 1, name="b"),
        shape=(8, 8, 2),
    )
    kill(model.get_layer("a"), [0], bias=0.7)
    kill(model.get_layer("a"), [1], bias=-0.7)
    unread(model.get_layer("depthwise"), [2])
    model.get_layer("depthwise").bias.assign(np.full(6, 0.5))
    same = padding == "same"
    found = checked(model, ("a: 1 constant unit kept, since padded or",) if same else ())
    assert found.units == {"a": (6, 4 if same else 3)}
    assert found.model.get_layer("depthwise").kernel.shape == (3, 3, 4 if same else 3, 1)


@pytest.mark.parametrize("add", [lambda x, y: layers.Add()([x, y]), lambda x, y: x + y])
def test_branches_of_a_sum_go_together(add):
    inputs = keras.Input((5,))
    a = layers.Dense(6, "relu", name="a")(inputs)
    b = layers.Dense(6, "relu", name="b")(inputs)
    model = fill(keras.Model(inputs, layers.Dense(3, name="out")(add(a, b))))
    kill(model.get_layer("a"), [0, 1], bias=0.7)
    kill(model.get_layer("b"), [1, 2], bias=0.4)
    unread(model.get_layer("out"), [5])
    found = checked(
        model,
        (
            "a: 1 constant unit kept, since padded or added to others, they vary where out reads them",
            "b: 1 constant unit kept, since padded or added to others, they vary where out reads them",
        ),
    )
    assert found.units == {"a": (6, 4), "b": (6, 4)}


def test_a_unit_that_stays_for_another_branch_stays_whole():
    """Unit 1 of the sum isn't read, but x's is, so `u` keeps its own, and `t` what that reads."""
    inputs = keras.Input((5,))
    x = layers.Dense(2, "relu", name="x")(inputs)
    u = layers.Dense(2, "relu", name="u")(layers.Dense(2, "relu", name="t")(x))
    model = fill(keras.Model(inputs, layers.Dense(3, name="out")(x + u)))
    model.get_layer("t").kernel.assign([[0, 1], [1, 0]])
    model.get_layer("u").kernel.assign([[1, 0], [0, 1]])
    unread(model.get_layer("out"), [1])
    assert checked(model, ("every unit",)).units == {}


def test_a_tensor_added_to_itself_counts_twice():
    inputs = keras.Input((5,))
    a = layers.Dense(6, "relu", name="a")(inputs)
    model = fill(keras.Model(inputs, layers.Dense(3)(a + a)))
    kill(model.get_layer("a"), [0, 1], bias=0.7)
    assert checked(model).units == {"a": (6, 4)}


def test_sums_with_numbers_and_of_other_shapes_are_not_taken_for_sums():
    inputs = keras.Input((4, 5))
    a = layers.Dense(6, "relu", name="a")(inputs)
    one = layers.Dense(1, name="one")(inputs)
    model = fill(keras.Model(inputs, layers.Dense(3)(layers.Add(name="sum")([a + 1.0, one]))))
    kill(model.get_layer("a"), [0])
    found = checked(model, ("which is called with further arguments, needs every channel",))
    assert found.units == {}


def dead_before(make, **options) -> keras.Model:
    """A Dense layer `a` with a dead unit, what `make` makes of it, and an output."""
    inputs = keras.Input((4, 5))
    a = layers.Dense(6, "relu", name="a")(inputs)
    model = fill(keras.Model(inputs, layers.Dense(3, name="out", **options)(make(a))))
    kill(model.get_layer("a"), [1], bias=0.7)
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda x: layers.Concatenate(name="concat")([x, x]), "concat (Concatenate) needs every channel"),
        (lambda x: layers.LayerNormalization(name="norm")(x), "norm (LayerNormalization) needs every"),
        (lambda x: layers.Softmax(name="softmax")(x), "softmax (Softmax) needs every channel"),
        (lambda x: layers.Reshape((2, 12), name="reshape")(x), "reshape (Reshape) needs every channel"),
        (lambda x: layers.BatchNormalization(name="norm", axis=1)(x), "norm (BatchNormalization) needs"),
        (lambda x: layers.PReLU(name="prelu")(x), "prelu (PReLU) needs every channel"),
        (
            lambda x: layers.Dropout(0.5, name="drop", noise_shape=(None, 4, 6))(x),
            "drop (Dropout) needs every channel",
        ),
        (
            lambda x: layers.Dense(6, name="half", dtype="mixed_float16")(x),
            "half, which computes in mixed_float16, needs every channel",
        ),
        (
            lambda x: layers.Conv1D(6, 1, groups=2, name="groups")(x),
            "groups, which has channels first or in groups, needs every channel",
        ),
        (
            lambda x: keras.Sequential([keras.Input((4, 6)), layers.Dense(6)], name="nested")(x),
            "nested (Sequential) needs every channel",
        ),
    ],
)
def test_it_steps_aside_for_what_it_does_not_know(make, reason):
    model = dead_before(make)
    found = checked(model, (f"a: 1 constant unit kept, since {reason}",))
    assert found.units == {}


def test_it_steps_aside_for_shared_layers_and_finds_what_is_dead_in_them():
    shared = layers.Dense(6, name="shared")
    model = dead_before(lambda x: shared(shared(x)))
    kill(model.get_layer("shared"), [0, 3])
    why = "shared, which is used more than once, needs every channel"
    own = "shared: 2 units without weights kept, since it is used more than once"
    assert checked(model, (f"a: 1 constant unit kept, since {why}", own)).units == {}


def test_a_layer_that_a_nested_model_shares_is_left_alone():
    shared = layers.Dense(6, "relu", name="shared")
    inner = keras.Sequential([keras.Input((6,)), shared], name="inner")
    inputs = keras.Input((6,))
    model = fill(keras.Model(inputs, layers.Dense(3)(inner(shared(inputs)))))
    kill(shared, [0])
    assert compact(model).units == {}
    checked(model, ("shared: 1 unit without weights kept, since it is used more than once",))


def test_layers_that_are_called_as_in_training_are_left_alone():
    inputs = keras.Input((5,))
    x = layers.Dense(6, "relu", name="a")(inputs)
    x = layers.BatchNormalization(name="norm")(x, training=True)
    model = fill(keras.Model(inputs, layers.Dense(3)(x)))
    kill(model.get_layer("a"), [1])
    found = compact(model)
    assert found.units == {}
    assert "norm, which is called with further arguments" in found.left[0]


def test_softmax_in_a_hidden_layer_needs_all_units_but_not_all_inputs():
    model = chain(
        layers.Dense(6, "relu", name="a"), layers.Dense(5, "softmax", name="b"), layers.Dense(3, name="c")
    )
    kill(model.get_layer("a"), [1], bias=0.7)
    kill(model.get_layer("b"), [2], bias=0.7)
    unread(model.get_layer("c"), [2])
    assert checked(model).units == {"a": (6, 5)}


def test_channels_that_nothing_reads_are_told_where_no_layer_of_ours_made_them():
    model = dead_before(lambda x: layers.Concatenate(name="concat")([x, x]))
    unread(model.get_layer("out"), [2, 3, 8])
    found = compact(model)
    assert "concat: 3 unread channels kept, since no Dense layer or convolution creates them" in found.left


def test_units_that_share_places_with_the_inputs_stay():
    inputs = keras.Input((6,))
    x = layers.Add()([layers.Dense(6, "relu", name="a")(inputs), inputs])
    model = fill(keras.Model(inputs, layers.Dense(3, name="out")(x)))
    for name in ("a", "out"):
        unread(model.get_layer(name), [4])
    reason = "a: 1 unread unit kept, since they share channels with the model's inputs"
    assert checked(model, (reason,)).units == {}


def test_several_inputs_and_outputs_stay():
    one, two = keras.Input((5,), name="one"), keras.Input((4,), name="two")
    a, b = layers.Dense(6, "relu", name="a")(one), layers.Dense(6, "relu", name="b")(two)
    head = layers.Dense(2, name="head")(layers.Activation("tanh")(a + b))
    model = fill(keras.Model({"one": one, "two": two}, {"hidden": b, "head": head}))
    kill(model.get_layer("a"), [0])
    inputs = {"one": np.ones((3, 5)), "two": np.ones((3, 4))}
    found = compact(model)
    assert found.units == {}
    assert found.left == ["a: 1 constant unit kept, since the model's outputs stay"]
    for name, expected in model(inputs).items():
        np.testing.assert_array_equal(found.model(inputs)[name], expected)


def test_where_nothing_is_dead_the_copy_is_the_model():
    model = chain(layers.Dense(6, "relu"), layers.Dense(3))
    found = compact(model)
    assert (found.units, found.left) == ({}, ["every unit has weights that matter; nothing was removed"])
    assert found.model is not model
    for ours, theirs in zip(found.model.weights, model.weights, strict=True):
        assert ours is not theirs
        np.testing.assert_array_equal(ours, theirs)


def test_a_weight_that_is_not_finite_ends_all_proof():
    model = chain(layers.Dense(6, "relu", name="a"), layers.Dense(3))
    kill(model.get_layer("a"), [0, 1], bias=np.inf)
    found = compact(model)
    assert found.units == {}
    assert "a/bias: not finite" in found.left[0]


def test_a_compiled_model_stays_compiled():
    model = chain(layers.Dense(6, "relu", name="a"), layers.Dense(3))
    kill(model.get_layer("a"), [0, 1])
    model.compile("adam", "mse")
    x, y = np.ones((4, 5)), np.zeros((4, 3))
    model.fit(x, y, verbose=0)
    kill(model.get_layer("a"), [0, 1])
    found = compact(model)
    assert found.units == {"a": (6, 4)}
    assert found.model.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    assert model.compiled


def test_other_models_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return 2 * x

    class Called(keras.Model):
        def call(self, x, **kwargs):
            return -super().call(x, **kwargs)

    own = Own()
    own(np.ones((1, 2)))
    inputs = keras.Input((3,))
    prunable = lottery.make_prunable(chain(layers.Dense(3)))
    for model in (
        own,
        Called(inputs, layers.Dense(2)(inputs)),
        prunable,
        keras.Sequential([layers.Dense(2)]),
    ):
        with pytest.raises(LotteryError, match="^Expected a .* Received: [^\n]*$"):
            compact(model)


def test_lenet_at_a_low_density_saved_and_loaded(tmp_path):
    model = fill(lenet_300_100((28, 28), 10), density=0.012)
    kill(model.get_layer("hidden1"), range(0, 300, 2), bias=0.5)
    found = compact(model)
    images = np.random.default_rng(1).normal(size=(64, 28, 28)).astype("float32")
    same_outputs(model, found.model, [images])
    kernels = [np.array(model.get_layer(name).kernel) != 0 for name in ("hidden1", "hidden2", "output")]
    second = kernels[1][kernels[0].any(0)].any(0) & kernels[2].any(1)
    first = kernels[0].any(0) & kernels[1][:, second].any(1)
    assert found.units == {"hidden1": (300, first.sum()), "hidden2": (100, second.sum())}
    found.model.save(tmp_path / "compact.keras")
    loaded = keras.models.load_model(tmp_path / "compact.keras")
    assert loaded.count_params() == found.model.count_params() < model.count_params() / 5
    np.testing.assert_array_equal(loaded(images), found.model(images))


def test_resnet20_saved_and_loaded(tmp_path):
    model = fill(resnet20((32, 32, 3), 10), density=0.05)
    for name in ("stage1_block1_conv1", "stage2_block2_conv1"):
        kill(model.get_layer(name), [0, 3, 7])
        norm = model.get_layer(name.replace("conv", "norm"))
        # Far below zero once normalized, so that ReLU makes it 0.0 and padding doesn't matter.
        norm.beta.assign(np.where(np.isin(np.arange(norm.beta.shape[0]), [0, 3, 7]), -50.0, norm.beta))
    found = compact(model)
    assert found.units["stage1_block1_conv1"][1] <= 13
    assert found.units["stage2_block2_conv1"][1] <= 29
    images = np.random.default_rng(1).normal(size=(8, 32, 32, 3)).astype("float32")
    same_outputs(model, found.model, [images])
    found.model.save(tmp_path / "compact.keras")
    loaded = keras.models.load_model(tmp_path / "compact.keras")
    same_outputs(found.model, loaded, [images])
    assert loaded.count_params() < model.count_params()


def random_network(seed: int) -> keras.Model:
    """A small network of layers drawn at random, residual sums among them, with most weights zero."""
    random = np.random.default_rng(seed)
    functions = ["relu", "tanh", "sigmoid", "elu", None, "softmax"]

    def drawn(choices):
        return choices[random.integers(len(choices))]

    inputs = x = keras.Input((9, 9, 2))
    for _ in range(random.integers(2, 5)):
        units, padding = int(random.integers(2, 7)), drawn(["valid", "same"])
        options = {"use_bias": bool(random.random() < 0.7), "activation": drawn(functions)}
        y = layers.Conv2D(units, drawn([1, 2, 3]), padding=padding, **options)(x)
        kind = random.integers(7)
        if kind == 0 and y.shape == x.shape:
            y = layers.Add()([x, y])
        elif kind == 1:
            y = y + layers.Conv2D(units, 2, padding="same", activation=drawn(functions))(y)
        elif kind == 2:
            y = layers.ReLU()(layers.BatchNormalization(scale=bool(random.random() < 0.5))(y))
        elif kind == 3:
            y = layers.DepthwiseConv2D(2, padding=drawn(["valid", "same"]), activation="relu")(y)
        elif kind == 4 and y.shape[1] > 3:
            pool = drawn([layers.MaxPooling2D, layers.AveragePooling2D])
            y = pool(2, padding=drawn(["valid", "same"]))(y)
        elif kind == 5:
            y = layers.Concatenate()([y, y])
        x = y if min(y.shape[1:3]) > 3 else x
    x = layers.Flatten()(x) if random.random() < 0.5 else layers.GlobalAveragePooling2D()(x)
    for _ in range(random.integers(1, 4)):
        x = layers.Dense(int(random.integers(2, 12)), drawn(functions))(x)
    outputs = layers.Dense(4)(x)
    return fill(keras.Model(inputs, outputs), density=drawn([0.05, 0.1, 0.2, 0.4]), seed=seed)


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 7))])
def test_random_networks_answer_as_before(seed):
    images = np.random.default_rng(1).normal(size=(8, 9, 9, 2)).astype("float32")
    found = [compact(random_network(6 * seed + index)) for index in range(6)]
    for index, each in enumerate(found):
        same_outputs(random_network(6 * seed + index), each.model, [images])
        assert compact(each.model).units == {}
    assert sum(before - after for each in found for before, after in each.units.values()) > 10


def test_what_layers_have_adapted_to_is_in_the_smaller_model():
    x = np.random.default_rng(0).normal(3, 7, (30, 6)).astype(np.float32)
    scale = layers.Normalization()
    scale.adapt(x)
    hidden = layers.Dense(8, "relu", name="hidden")
    model = keras.Sequential([keras.Input((6,)), scale, hidden, layers.Dense(2)])
    kernel = hidden.kernel.numpy()
    kernel[:, 3:] = 0
    hidden.kernel.assign(kernel)
    found = lottery.compact(model)
    assert found.units == {"hidden": (8, 3)}
    np.testing.assert_allclose(found.model(x), model(x), rtol=1e-5, atol=1e-6)
    assert not found.left


def test_a_copy_that_answers_otherwise_is_refused():
    model = keras.Sequential([keras.Input((6,)), Drawn(), layers.Dense(2)])
    with pytest.raises(LotteryError, match="Keras can copy.*the copy's outputs differ"):
        lottery.compact(model)
