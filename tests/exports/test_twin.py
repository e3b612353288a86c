"""The twin in tf_keras answers the same, or is refused by name."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.twin import LAYERS, twin

L = keras.layers


def residual():
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = L.ReLU(6.0)(L.BatchNormalization(epsilon=0.01)(x))
    y = L.Conv2D(4, 3, padding="same", strides=1, activation="relu")(x)
    x = L.Activation("relu")(x + y)
    x = L.Add()([x, L.DepthwiseConv2D(3, padding="same", activation="tanh")(x)])
    x = L.Concatenate()([L.MaxPooling2D()(x), L.AveragePooling2D(2)(x)])
    x = L.ZeroPadding2D(1)(x)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Softmax()(L.Dense(5)(L.Dropout(0.3)(x))))


def flat():
    return keras.Sequential(
        [
            keras.Input((12,)),
            L.Dense(16, "sigmoid"),
            L.Reshape((4, 4)),
            L.Conv1D(3, 2),
            L.Flatten(),
            L.Dense(2),
        ]
    )


def randomized(model):
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    model.set_weights([0.2 + 0.3 * abs(generator.standard_normal(w.shape)) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("build", [residual, flat])
def test_the_twin_answers_the_same(build):
    model = randomized(build())
    before = [weight.tobytes() for weight in model.get_weights()]
    x = np.random.default_rng(1).random((5, *model.input_shape[1:]), np.float32)
    copy = twin(model)
    assert type(copy).__module__.startswith("tf_keras")
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-5, atol=1e-6)
    assert [weight.tobytes() for weight in model.get_weights()] == before
    assert [weight.shape for weight in copy.get_weights()] == [w.shape for w in model.get_weights()]


def test_every_layer_of_the_list_was_tried():
    used = {type(layer) for build in (residual, flat) for layer in build().layers}
    assert set(LAYERS) <= used


def test_keras_and_the_environment_stay_as_they_are():
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    twin(flat())
    assert os.environ.get("TF_USE_LEGACY_KERAS") == before
    assert tf.keras.Model is keras.Model


def shared():
    inputs = keras.Input((4,))
    layer = L.Dense(4)
    return keras.Model(inputs, layer(layer(inputs)))


def custom():
    class Mine(L.Dense):
        pass

    return keras.Sequential([keras.Input((4,)), Mine(3, name="mine")])


def one(layer, shape=(4,)):
    return keras.Sequential([keras.Input(shape), layer])


def operation():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.ops.sort(L.Dense(3)(inputs)))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (shared, "uses dense.* more than once"),
        (custom, r"has mine \(Mine\); known are Activation, Add"),
        (operation, r"has sort.* \(Sort\)"),
        (
            lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, "softplus", name="d")]),
            "activation softplus in d",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, dtype="mixed_bfloat16", name="d")]),
            "has d of mixed_bfloat16",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,)), L.Dense(3), L.ReLU(negative_slope=0.1, name="r")]),
            "has r, a ReLU",
        ),
        (
            lambda: keras.Sequential([keras.Input((4, 4, 2)), L.Conv2D(2, 1, groups=2, name="c")]),
            "has c, a convolution in groups",
        ),
    ],
)
def test_what_has_no_twin_is_refused_by_name(build, said):
    with pytest.raises(LotteryError, match=said) as caught:
        twin(build())
    assert "\n" not in str(caught.value)


def test_two_inputs_are_refused():
    first, second = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(LotteryError, match="one input and one output"):
        twin(keras.Model([first, second], L.Add()([first, second])))
