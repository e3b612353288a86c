"""What a random reinitialization draws anew, and what it keeps."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.search.models import TRAIN
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables
from tf_lottery.layers.redraw import frozen, given, redraw
from tf_lottery.models.seeded import seeded

VECTORS = np.random.default_rng(5).normal(size=(17, 4)).astype(np.float32)
KERNELS = ["hidden/kernel", "output/kernel"]


def network(trainable=False, load=False, initializer="glorot_uniform"):
    embedding = layers.Embedding(17, 4, trainable=trainable, name="embedding")
    hidden = layers.Dense(30, kernel_initializer=initializer, name="hidden")
    model = keras.Sequential(
        [
            *(keras.Input((64,), dtype="int32"), embedding, layers.Flatten(), hidden),
            *(layers.BatchNormalization(name="norm"), layers.Dropout(0.1), layers.Dense(10, name="output")),
        ]
    )
    if load:
        embedding.set_weights([VECTORS])
    return model


def drawn(seed, build=network, **settings):
    with seeded(seed):
        return {path: np.array(v.numpy()) for path, v in named_variables(build(**settings)).items()}


def test_frozen_layers_are_kept_and_statistics_begin_anew():
    original, fresh = drawn(0), drawn(1)
    original["norm/moving_mean"] += 7  # of a training
    model = network()
    assert frozen(model) == ["embedding/embeddings"]
    found = redraw(model, KERNELS, original, fresh)
    assert found.kept == ("embedding/embeddings",)
    assert (found.weights["embedding/embeddings"] == original["embedding/embeddings"]).all()
    for path in (*KERNELS, "norm/moving_mean"):
        assert (found.weights[path] == fresh[path]).all()
        assert (found.weights[path] != original[path]).any()
    assert abs(found.correlation) < 0.2


def test_statistics_of_a_frozen_normalization_are_kept():
    model = network()
    model.get_layer("norm").trainable = False
    assert {p.split("/")[0] for p in frozen(model)} == {"embedding", "norm"}


def test_what_a_function_loads_is_kept_though_it_is_trained():
    settings = {"trainable": True, "load": True}
    original, fresh = drawn(0, **settings), drawn(1, **settings)
    found = redraw(network(**settings), ["embedding/embeddings", *KERNELS], original, fresh)
    assert found.kept == ("embedding/embeddings",)
    assert (found.weights["embedding/embeddings"] == VECTORS).all()


def test_an_initializer_with_a_seed_of_its_own_is_no_draw():
    settings = {"initializer": keras.initializers.GlorotUniform(seed=3)}
    with pytest.raises(
        LotteryError, match="the same in hidden/kernel. Its initializer has a seed of its own"
    ):
        redraw(network(**settings), KERNELS, drawn(0, **settings), drawn(1, **settings))


def test_the_same_network_twice_is_no_draw():
    with pytest.raises(LotteryError, match="the builder returns the same model again"):
        redraw(network(), KERNELS, drawn(0), drawn(0))


@pytest.mark.parametrize(
    "initializer",
    [
        "glorot_uniform",
        "he_normal",
        "orthogonal",
        "random_normal",
        "lecun_uniform",
        "truncated_normal",
        "zeros",
    ],
)
def test_what_was_drawn_is_not_taken_for_given(initializer):
    settings = {"initializer": initializer, "trainable": True}
    draws = drawn(101, **settings), drawn(102, **settings)
    for seed in range(6):
        assert given(drawn(seed, **settings), draws, draws[0]) == []


def test_what_was_loaded_or_trained_is_told():
    draws = drawn(101, trainable=True), drawn(102, trainable=True)
    loaded = drawn(0, trainable=True, load=True)
    assert given(loaded, draws, draws[0]) == ["embedding/embeddings"]
    with seeded(0):
        model = network(trainable=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    x, y = (TRAIN[0] * 16).astype(np.int32), TRAIN[1]
    model.fit(x, y, epochs=1, verbose=0)
    trained = {path: np.array(v.numpy()) for path, v in named_variables(model).items()}
    found = given(trained, draws, [p for p in draws[0] if "moving" not in p and "other" not in p])
    assert {"hidden/bias", "output/bias", "norm/gamma"} <= set(found)  # four steps were enough for these


def test_nothing_but_constants_or_frozen_kernels_has_no_control():
    settings = {"initializer": "zeros"}
    with pytest.raises(LotteryError, match="no new weights: the kernels are constant at first"):
        redraw(network(**settings), KERNELS[:1], drawn(0, **settings), drawn(1, **settings))
    with pytest.raises(LotteryError, match="no new weights: the kernels are all frozen"):
        redraw(network(), ["embedding/embeddings"], drawn(0), drawn(1))


@pytest.mark.parametrize(
    ("first", "kernels"),
    [
        (lambda: layers.DepthwiseConv2D(3, name="loaded"), ["loaded/kernel"]),
        (lambda: layers.SeparableConv2D(4, 3, name="loaded"), ["loaded/depthwise_kernel"]),
        (lambda: layers.Conv2D(4, 3, name="loaded"), ["loaded/kernel"]),
    ],
)
def test_what_is_loaded_into_any_kind_of_kernel_is_kept(first, kernels):
    def build():
        layer = first()
        head = layers.Dense(10, name="output")
        model = keras.Sequential([keras.Input((8, 8, 2)), layer, layers.Flatten(), head])
        layer.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in layer.weights])
        return model

    found = redraw(build(), [*kernels, "output/kernel"], drawn(0, build), drawn(1, build))
    assert found.kept == tuple(kernels)
