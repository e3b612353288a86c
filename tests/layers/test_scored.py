"""A network under trained masks: what it computes and which gradients its scores get, by hand in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.layers.scored import ScoredNetwork
from tf_lottery.method.recipe import Supermask
from tf_lottery.training.randomness import uniform

X = np.array([[1, -2, 3], [0, 1, -1]], "float32")
LABELS = np.array([[1, -1], [2, 0.5]], "float32")
"""What outputs are multiplied by, for a loss whose gradient is known: sum(outputs x these)."""
FIRST = np.array([[0.5, -1, 2, 0.25], [1, 0.5, -0.5, 1], [-0.25, 2, 1, -1]], "float32")
SECOND = np.array([[1, -1], [0.5, 2], [-2, 0.25], [1, 1]], "float32")
SCORES = {
    "first/kernel": np.array([[0.5, -4, 2, 1], [-3, 0.25, 3, -1], [1, 1, -2, 0.5]], "float32"),
    "second/kernel": np.array([[1, -2], [0.25, 3], [-1, -0.5], [2, 0.75]], "float32"),
}
COUNTS = {("first/kernel",): 7, ("second/kernel",): 4}


def highest(scores, count):
    """The highest in size; the last ones among equals, of which there are some here."""
    mask = np.zeros(scores.size, bool)
    mask[np.argsort(np.abs(scores), None, kind="stable")[-count:]] = True
    return mask.reshape(scores.shape)


HARD = {
    "edge_popup": highest,
    "learned": lambda s, count: s > 0,
    "signed": lambda s, count: np.where(s > 0.75, 1, np.where(s < -0.75, -1, 0)),
}
SLOPE = {  # of the soft value by the score
    "edge_popup": np.sign,
    "learned": lambda s: np.exp(-s) / (1 + np.exp(-s)) ** 2,
    "signed": np.ones_like,
}


def plain(**settings):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "relu", name="first", **settings)(inputs)
    network = keras.Model(inputs, keras.layers.Dense(2, name="second")(hidden))
    network.get_layer("first").set_weights([FIRST, np.full(4, 0.5, "float32")])
    network.get_layer("second").set_weights([SECOND, np.full(2, -0.25, "float32")])
    return network


def scored(kind, network=None, draw=uniform, counts=COUNTS, **settings):
    options = {"threshold": 0.75} if kind == "signed" else {}
    supermask = Supermask(kind=kind, seed=5, **options, **settings)
    model = ScoredNetwork(network or plain(), list(SCORES), supermask, counts, draw)
    for path, score in model.scores.items():
        score.assign(SCORES[path])
    return model


def gradients(model, training, jit=False):
    @tf.function(jit_compile=jit)
    def compute():
        kernels = [kernel.value for kernel in model.kernels.values()]
        with tf.GradientTape() as tape:
            outputs = model(X, training=training)
            loss = tf.reduce_sum(outputs * LABELS)
        scores = [score.value for score in model.trainable_variables]
        slopes, of_kernels = tape.gradient(loss, [scores, kernels])
        assert of_kernels == [None, None], "kernels get no gradient"
        return outputs, slopes

    outputs, slopes = compute()
    return outputs.numpy(), dict(zip(model.scores, (slope.numpy() for slope in slopes), strict=True))


def by_hand(factors, slope):
    """The outputs and the scores' gradients of this very network, where kernels are read as w x factor."""
    first, second = FIRST * factors["first/kernel"], SECOND * factors["second/kernel"]
    before = X @ first + 0.5
    hidden = np.maximum(before, 0)
    outputs = hidden @ second - 0.25
    of_second = hidden.T @ LABELS
    of_first = X.T @ ((LABELS @ second.T) * (before > 0))
    return outputs, {
        "first/kernel": of_first * FIRST * slope(SCORES["first/kernel"]),
        "second/kernel": of_second * SECOND * slope(SCORES["second/kernel"]),
    }


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("kind", HARD)
def test_outputs_and_straight_through_gradients_are_those_by_hand(kind, jit):
    counts = {path: count for (path,), count in COUNTS.items()}
    factors = {path: HARD[kind](score, counts[path]) for path, score in SCORES.items()}
    found, slopes = gradients(scored(kind), training=False, jit=jit)
    outputs, expected = by_hand(factors, SLOPE[kind])
    np.testing.assert_array_equal(found, outputs)  # all of it is exact in float32
    for path, slope in slopes.items():
        np.testing.assert_allclose(slope, expected[path], rtol=1e-6, err_msg=path)
        if kind != "learned":
            np.testing.assert_array_equal(slope, expected[path])
        assert slope[factors[path] == 0].any(), "weights that aren't used have gradients, too"


def test_a_training_step_draws_each_weight_with_its_probability_and_gradients_pass_the_draw():
    drawn = np.random.default_rng(8).random(20).astype("float32")
    model = scored("learned", draw=lambda shape, seed: tf.reshape(tf.constant(drawn), shape))
    probability = {path: 1 / (1 + np.exp(-score)) for path, score in SCORES.items()}
    numbers = {"first/kernel": drawn[:12].reshape(3, 4), "second/kernel": drawn[12:].reshape(4, 2)}
    factors = {path: numbers[path] < probability[path] for path in SCORES}
    assert any((factors[path] != (SCORES[path] > 0)).any() for path in SCORES), "a draw that differs"
    found, slopes = gradients(model, training=True)
    outputs, expected = by_hand(factors, SLOPE["learned"])
    np.testing.assert_array_equal(found, outputs)
    for path, slope in slopes.items():
        np.testing.assert_allclose(slope, expected[path], rtol=1e-6)


def test_draws_differ_from_step_to_step_and_follow_from_their_seeds():
    model = scored("learned")
    before = model.seeds.state.numpy()
    first, second = (model(X, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    model.seeds.state.assign(before)
    np.testing.assert_array_equal(model(X, training=True), first)
    assert scored("edge_popup").seeds is None


def test_rescaled_weights_make_up_for_those_that_are_not_used():
    factors = {
        "first/kernel": HARD["edge_popup"](SCORES["first/kernel"], 7) * (12 / 7),
        "second/kernel": HARD["edge_popup"](SCORES["second/kernel"], 4) * (8 / 4),
    }
    model = scored("edge_popup", rescale=True)
    found, slopes = gradients(model, training=True)
    outputs, _ = by_hand(factors, SLOPE["edge_popup"])
    np.testing.assert_allclose(found, outputs, rtol=1e-6)
    np.testing.assert_allclose(model.baked()["second/kernel"], SECOND * factors["second/kernel"], rtol=1e-6)
    assert all(slope.any() for slope in slopes.values())


@pytest.mark.parametrize("kind", HARD)
def test_what_is_baked_computes_the_same(kind):
    model, bare = scored(kind), plain()
    for path, value in model.baked().items():
        layer = bare.get_layer(path.split("/")[0])
        layer.kernel.assign(value)
        pruned = ~model.masks()[path]
        assert not np.signbit(value[pruned]).any()
        assert not value[pruned].any()
        assert np.abs(value[~pruned]).all()
    np.testing.assert_array_equal(model(X), bare(X))


def test_only_scores_are_trained_and_penalties_of_frozen_weights_are_left_out():
    network = plain(kernel_regularizer="l2", activity_regularizer=keras.regularizers.L1(0.25))
    model = scored("signed", network)
    outputs = model(X, training=True)
    assert [v.path.split("/")[-1] for v in model.trainable_variables] == [
        "score_of_first_kernel",
        "score_of_second_kernel",
    ]
    hidden = np.maximum(X @ (FIRST * HARD["signed"](SCORES["first/kernel"], 0)) + 0.5, 0)
    (penalty,) = model.losses
    np.testing.assert_allclose(penalty, 0.25 * hidden.sum() / len(X), rtol=1e-6)
    assert outputs.shape == (2, 2)


def test_moving_statistics_follow_the_training_alone():
    inputs = keras.Input((3,))
    x = keras.layers.BatchNormalization(momentum=0.5)(keras.layers.Dense(4, name="first")(inputs))
    network = keras.Model(inputs, keras.layers.Dense(2, name="second")(x))
    model, norm = scored("edge_popup", network), network.layers[2]
    before = norm.moving_mean.numpy()
    model(X, training=False)
    np.testing.assert_array_equal(norm.moving_mean, before)
    model(X, training=True)
    assert (norm.moving_mean.numpy() != before).any()


def test_embeddings_and_recurrent_kernels_get_scores_too():
    inputs = keras.Input((3,), dtype="int32")
    x = keras.layers.LSTM(3, name="cells")(keras.layers.Embedding(5, 4, name="words")(inputs))
    network = keras.Model(inputs, keras.layers.Dense(2, name="second")(x))
    kernels = ["words/embeddings", "cells/lstm_cell/kernel", "second/kernel"]
    model = ScoredNetwork(network, kernels, Supermask(kind="signed", seed=1, threshold=0.0), {}, uniform)
    model.draw_scores()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(np.array([[1, 2, 1], [4, 0, 1]]), training=True) ** 2)
    slopes = tape.gradient(loss, [score.value for score in model.trainable_variables])
    embedded = tf.convert_to_tensor(slopes[0]).numpy()
    assert embedded[[0, 1, 2, 4]].any(axis=1).all()
    assert not embedded[3].any(), "a word that isn't there"
    assert all(tf.reduce_any(slope != 0) for slope in slopes[1:])


def test_first_scores_follow_from_the_seed():
    models = [scored("edge_popup") for _ in range(2)]
    for model in models:
        model.draw_scores()
    first, second = ([score.numpy() for score in model.scores.values()] for model in models)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != SCORES["first/kernel"]).all()
