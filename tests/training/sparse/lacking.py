"""Networks with something that the sparse engine lacks, for configs to name."""

import keras
from keras import layers


class Doubled(layers.Layer):
    """A custom layer."""

    def call(self, inputs):
        return 2 * inputs


def _sequential(input_shape, classes, *between):
    return keras.Sequential(
        [keras.Input(input_shape), *between, layers.Flatten(), layers.Dense(classes, name="output")]
    )


def depthwise(input_shape, classes):
    return _sequential(input_shape, classes, layers.DepthwiseConv2D(3, name="each"))


def custom(input_shape, classes):
    return _sequential(input_shape, classes, Doubled(name="double"))


def grouped(input_shape, classes):
    first = layers.Conv2D(4, 3, name="first")
    return _sequential(input_shape, classes, first, layers.Conv2D(4, 3, groups=2, name="conv"))


def frozen(input_shape, classes):
    return _sequential(input_shape, classes, layers.Conv2D(4, 3, trainable=False, name="conv"))


def shared(input_shape, classes):
    inputs, twice = keras.Input(input_shape), layers.Dense(64, "relu", name="twice")
    x = twice(twice(layers.Flatten()(inputs)))
    return keras.Model(inputs, layers.Dense(classes, name="output")(x))


def per_pixel(input_shape, classes):
    return _sequential(input_shape, classes, layers.Dense(4, name="dense"))


def penalized(input_shape, classes):
    return _sequential(input_shape, classes, layers.ReLU(activity_regularizer="l2", name="relu"))


def integers(input_shape, classes):
    inputs = keras.Input(input_shape, dtype="int32")
    return keras.Model(inputs, layers.Dense(classes, name="output")(layers.Flatten()(inputs)))


def beside(input_shape, classes):
    inputs = keras.Input(input_shape)
    parts = [layers.Conv2D(4, 3, padding="same")(inputs) for _ in range(2)]
    x = layers.Flatten()(layers.Concatenate(axis=1, name="below")(parts))
    return keras.Model(inputs, layers.Dense(classes, name="output")(x))
