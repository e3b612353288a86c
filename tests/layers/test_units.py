"""Which weights lead to which unit, which of them are the outputs, and units that `compact` removes."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.layers.units import check_units, unit_axes
from tf_lottery.pruning.patterns import pattern


def rates(model, **own):
    return {path: own.get(path.split("/")[0], 0.5) for path in lottery.get_masks(model)}


def check(model, text="units", **own):
    prunable = lottery.make_prunable(model)
    check_units(prunable, pattern(text), rates(prunable, **own), f"Pattern {text}")


def convolutional():
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv1")(inputs)
    first = layers.ReLU()(layers.BatchNormalization(name="bn")(first))
    second = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv2")(first)
    summed = layers.Add()([first, second])
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(summed)
    flat = layers.Flatten()(layers.MaxPooling2D()(depthwise))
    hidden = layers.Dense(20, "relu", name="hidden")(flat)
    outputs = layers.Softmax()(layers.Dense(5, name="classes")(hidden))
    return keras.Model(inputs, outputs)


def with_statistics(model):
    """Give every bias and statistic values of their own, as training does."""
    generator = np.random.default_rng(2)
    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign(generator.uniform(0.2, 1.0, variable.shape))
    return model


def test_the_units_of_known_layers_only_and_the_same_in_a_prunable_model():
    model = keras.Sequential(
        [
            keras.Input((12, 4)),
            layers.Conv1D(6, 3, name="conv"),
            layers.DepthwiseConv1D(2, name="depthwise"),
            layers.SeparableConv1D(5, 2, name="separable"),
            layers.LSTM(4, return_sequences=True, name="lstm"),
            layers.TimeDistributed(layers.Dense(3, name="inner"), name="each"),
            layers.EinsumDense("abc,cd->abd", (None, 2), name="einsum"),
        ]
    )
    known = {"conv/kernel": 1, "depthwise/kernel": 2, "each/inner/kernel": 1}
    assert unit_axes(model) == known
    assert unit_axes(lottery.make_prunable(model)) == known


@pytest.mark.parametrize("text", ["units", "2:4", "block:2x2"])
@pytest.mark.parametrize("layer", [layers.LSTM(3), layers.EinsumDense("abc,cd->abd", (6, 3))])
def test_a_layer_whose_units_are_not_known_is_refused_unless_it_stays_whole(layer, text):
    model = keras.Sequential([keras.Input((6, 4)), layer, layers.Flatten(), layers.Dense(2, name="classes")])
    message = f"of {layer.name}/.* isn't known. .*layer_rates: {{{layer.name}"
    with pytest.raises(LotteryError, match=message) as caught:
        check(model, text, classes=0)
    assert "\n" not in str(caught.value)
    check(model, text, **{layer.name: 0, "classes": 0})


@pytest.mark.parametrize("text", ["2:4", "block:2x2"])
def test_a_depthwise_kernel_has_units_and_no_matrix_of_inputs_and_outputs(text):
    check(convolutional(), classes=0)
    with pytest.raises(LotteryError, match="the inputs and outputs of depthwise/kernel isn't known"):
        check(convolutional(), text)
    check(convolutional(), text, depthwise=0)  # the output may be pruned by these


def test_the_layer_that_gives_the_outputs_is_found_in_the_graph_not_by_its_name():
    def named(first, last):
        stack = [layers.Dense(6, name=first), layers.Dense(3, name=last)]
        return keras.Sequential([keras.Input((4,)), *stack])

    with pytest.raises(LotteryError, match="would prune last/kernel, .* layer_rates: {last: 0}"):
        check(named("output", "last"), output=0)
    check(named("output", "last"), last=0)
    with pytest.raises(
        LotteryError, match="would prune classes/kernel, whose units are the network's outputs"
    ):
        check(convolutional())


def test_outputs_are_followed_through_pooling_sums_and_depthwise_layers():
    inputs = keras.Input((6, 6, 2))
    before = layers.Conv2D(4, 1, name="before")(inputs)
    left = layers.Conv2D(3, 1, name="left")(before)
    right = layers.DepthwiseConv2D(1, name="right")(layers.Conv2D(3, 1, name="below")(before))
    outputs = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([left, right])))
    model = keras.Model(inputs, outputs)
    given = ("left", "right", "below")
    check(model, **dict.fromkeys(given, 0))
    for each in given:
        with pytest.raises(LotteryError, match=f"would prune {each}/kernel"):
            check(model, **dict.fromkeys(set(given) - {each}, 0))


def test_outputs_are_found_within_models_and_layers_that_contain_layers():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="deep"), layers.Dense(3, name="last")], name="inner"
    )
    inputs = keras.Input((4,))
    nested = keras.Model(inputs, layers.Softmax()(inner(layers.Dense(4, name="first")(inputs))))
    prunable = lottery.make_prunable(nested)
    own = {"first/kernel": 0.5, "inner/deep/kernel": 0.5, "inner/last/kernel": 0.5}
    with pytest.raises(LotteryError, match="would prune inner/last/kernel, .*{inner/last: 0}"):
        check_units(prunable, pattern("units"), own, "Pattern units")
    check_units(prunable, pattern("units"), own | {"inner/last/kernel": 0}, "Pattern units")
    stack = [layers.Dense(4, name="first"), layers.TimeDistributed(layers.Dense(3, name="x"), name="each")]
    with pytest.raises(LotteryError, match="would prune each/x/kernel"):
        check(keras.Sequential([keras.Input((5, 2)), *stack]), first=0)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = layers.Dense(8, name="hidden"), layers.Dense(2, name="last")

    def call(self, x):
        return self.last(self.hidden(x))


def test_units_of_a_model_without_a_graph_are_refused_and_blocks_are_not():
    model = Subclassed()
    model(np.zeros((1, 4)))
    prunable = lottery.make_prunable(model)
    with pytest.raises(LotteryError, match="Sequential and Functional models.* Received: Subclassed"):
        lottery.prune(prunable, pattern="units", layer_rates={"last": 0})
    lottery.prune(prunable, 0.5, pattern="block:2x2")
    assert lottery.sparsity(prunable) == 0.5


def test_prune_by_hand_takes_patterns_and_refuses_what_does_not_go_with_them():
    model = lottery.make_prunable(convolutional())
    with pytest.raises(LotteryError, match="would prune classes/kernel"):
        lottery.prune(model, pattern="units")
    with pytest.raises(LotteryError, match="Expected rate 0.5 with pattern 2:4"):
        lottery.prune(model, pattern="2:4")
    with pytest.raises(LotteryError, match="Expected pattern as single"):
        lottery.prune(model, pattern="column")
    with pytest.raises(LotteryError, match="distribute single weights"):
        lottery.prune(model, pattern="units", scope="erk", layer_rates={"classes": 0})
    assert lottery.sparsity(model) == 0
    lottery.prune(model, 0.5, pattern="2:4", layer_rates={"depthwise": 0})
    mask = lottery.get_masks(model)["hidden/kernel"]
    assert (mask.reshape(-1, 4, 20).sum(axis=1) == 2).all()


@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_pruned_units_answer_a_constant_and_compact_removes_them_without_changing_the_outputs(criterion):
    model = lottery.make_prunable(with_statistics(convolutional()))
    for left in (10, 5):
        lottery.prune(model, 0.5, criterion, pattern="units", layer_rates={"classes": 0, "depthwise": 0})
        assert lottery.get_masks(model)["hidden/kernel"].any(axis=0).sum() == left
    plain = lottery.strip(model)
    smaller = lottery.compact(plain)
    assert smaller.units["hidden"] == (20, 5)
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(smaller.model(x), plain(x), atol=1e-5)
    assert np.ptp(plain(x), axis=0).min() > 1e-3  # they aren't all constant
    assert smaller.model.count_params() < plain.count_params() / 2


def test_filters_before_batch_normalization_are_removed_where_padding_does_not_forbid_it():
    stack = [
        layers.Conv2D(8, 3, use_bias=False, name="conv1"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(6, 3, name="conv2"),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, name="classes"),
    ]
    model = lottery.make_prunable(with_statistics(keras.Sequential([keras.Input((8, 8, 2)), *stack])))
    lottery.prune(model, 0.5, pattern="units", layer_rates={"classes": 0})
    plain = lottery.strip(model)
    smaller = lottery.compact(plain)
    assert smaller.units == {"conv1": (8, 4), "conv2": (6, 3)}
    assert smaller.left == []
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(smaller.model(x), plain(x), atol=1e-5)
