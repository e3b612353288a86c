"""The twin in tf_keras answers the same, or is refused by name."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.twin import LAYERS, twin

L = keras.layers


def residual():
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", use_bias=False)(L.ZeroPadding2D(((1, 0), (0, 2)))(inputs))
    x = L.ReLU(6.0)(L.BatchNormalization(epsilon=0.01)(x))
    y = L.Conv2D(4, 3, padding="same", strides=1, activation="relu")(x)
    x = L.Activation("relu")(x + y)
    x = L.BatchNormalization(scale=False)(x)
    x = L.Add()([x, L.DepthwiseConv2D(3, padding="same", activation="tanh")(x), x])
    x = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, depth_multiplier=2, strides=2)(x)))
    x = L.BatchNormalization(center=False)(L.SeparableConv2D(6, 2, depth_multiplier=2)(x))
    x = L.Concatenate()([L.MaxPooling2D()(x), L.AveragePooling2D(2)(x)])
    x = L.Concatenate()([L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(x)])
    return keras.Model(inputs, L.Softmax()(L.Dense(5)(L.Dropout(0.3)(x))))


def flat():
    return keras.Sequential(
        [
            keras.Input((12,)),
            L.Dense(16, "sigmoid"),
            L.Reshape((4, 4, 1)),
            L.Conv2D(3, 2, activation="relu6"),
            L.SpatialDropout2D(0.5),
            L.Flatten(),
            L.Dense(7),
            L.BatchNormalization(),
            L.Activation("gelu"),
            L.Dense(2),
        ]
    )


def forked():
    """The convolution is read twice, so nothing may become part of it; the last is the output itself."""
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(3, 3)(inputs)
    y = L.BatchNormalization()(L.ReLU()(x))
    return keras.Model(inputs, L.Flatten()(L.BatchNormalization()(L.Add()([y, x]))))


def randomized(model):
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if variable.dtype == "float32":
            value = generator.normal(0, 0.4, variable.shape)
            variable.assign(abs(value) + 0.3 if "variance" in variable.path else value)
    return model


@pytest.mark.parametrize("build", [residual, flat, forked])
def test_the_twin_answers_the_same(build):
    model = randomized(build())
    before = [weight.tobytes() for weight in model.get_weights()]
    x = np.random.default_rng(1).normal(size=(5, *model.input_shape[1:])).astype(np.float32)
    copy = twin(model)
    assert type(copy).__module__.startswith("tf_keras")
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-4, atol=1e-5)
    assert [weight.tobytes() for weight in model.get_weights()] == before


def test_zeros_stay_where_they_are():
    """Folding scales channels, by negative numbers too: no zero gains a sign."""
    model = randomized(residual())
    kernels = [v for v in model.variables if v.path.endswith("kernel")]
    for kernel in kernels:
        kernel.assign(np.where(abs(kernel.numpy()) < 0.4, 0, kernel.numpy()))
    found = [v.numpy() for v in twin(model).trainable_variables if len(v.shape) > 1]
    for kernel in kernels:
        same = [value for value in found if value.shape == kernel.shape]
        assert any(np.array_equal(value == 0, kernel.numpy() == 0) for value in same)
    assert not any(np.signbit(value[value == 0]).any() for value in found)


def test_what_follows_becomes_part_of_a_layer():
    """tensorflow-model-optimization quantizes no weights before a ReLU layer, and no normalization alone."""
    made = [type(layer).__name__ for layer in twin(randomized(flat())).layers]
    assert made == ["InputLayer", "Dense", "Reshape", "Conv2D", "Activation", "Flatten", "Dense", "Dense"]
    assert [layer.activation.__name__ for layer in twin(flat()).layers if hasattr(layer, "kernel")] == [
        "sigmoid",
        "linear",
        "gelu",
        "linear",
    ]


def test_every_layer_of_the_list_was_tried():
    used = {type(layer) for build in (residual, flat, forked) for layer in build().layers}
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


def unbuilt():
    class Mine(keras.Model):
        def call(self, x):
            return x

    return Mine()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (shared, "uses dense.* more than once"),
        (custom, r"has mine \(Mine\); known are Activation, Add"),
        (operation, r"has sort.* \(Sort\)"),
        (lambda: one(L.Dense(3, "softplus", name="d")), "has d with activation softplus"),
        (lambda: one(L.Dense(3, "silu", name="d")), "has d with activation silu"),
        (lambda: one(L.Dense(3, dtype="mixed_bfloat16", name="d")), "has d of mixed_bfloat16"),
        (lambda: one(L.Dense(3, name="d"), (4, 4)), "has d, a Dense layer of inputs that aren't flat"),
        (lambda: one(L.ReLU(negative_slope=0.1, name="r")), "has r with a setting"),
        (lambda: one(L.ReLU(5.0, name="r")), "has r with a setting"),
        (lambda: one(L.Softmax(1, name="s"), (4, 4)), "has s with a setting"),
        (lambda: one(L.Conv2D(2, 1, groups=2, name="c"), (4, 4, 2)), "has c with groups 2"),
        (lambda: one(L.Conv2D(2, 1, dilation_rate=2, name="c"), (4, 4, 2)), "has c with dilation_rate"),
        (lambda: one(L.Conv1D(2, 1, name="c"), (4, 2)), r"has c \(Conv1D\)"),
        (lambda: one(L.BatchNormalization(axis=1, name="b"), (4, 4, 2)), "has b over axis 1"),
        (lambda: one(L.BatchNormalization(name="b")), "has b, a batch normalization after no Dense layer"),
        (lambda: one(keras.Sequential([keras.Input((4,)), L.Dense(2)], name="n")), r"has n \(Sequential\)"),
        (unbuilt, "isn't Sequential or Functional"),
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
