"""Builders that the tests name in configs."""

import keras
from keras import layers


def with_dropout(input_shape, classes, activation="relu"):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(30, activation, name="hidden"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3),
            layers.Dense(classes, name="output"),
        ]
    )


def convolutional(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(classes, name="output"),
        ]
    )


def probabilities(input_shape, classes):
    return keras.Sequential(
        [keras.Input(input_shape), layers.Flatten(), layers.Dense(classes, "softmax", name="output")]
    )


def fixed_seed(input_shape, classes):
    fixed = keras.initializers.GlorotUniform(seed=1)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(classes, kernel_initializer=fixed, name="output"),
        ]
    )


def zero_output(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(30, "relu", name="hidden"),
            layers.Dense(classes, kernel_initializer="zeros", name="output"),
        ]
    )


def sigmoid(input_shape, classes):
    return keras.Sequential(
        [keras.Input(input_shape), layers.Flatten(), layers.Dense(classes, "sigmoid", name="output")]
    )


def two_inputs(input_shape, classes):
    first, second = keras.Input(input_shape), keras.Input(input_shape)
    return keras.Model([first, second], layers.Dense(classes)(layers.Flatten()(first + second)))


def normalized(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(30, name="hidden"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Dense(classes, name="output"),
        ]
    )


def layer_normalized(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(12, "relu", name="first"),
            layers.LayerNormalization(name="norm"),
            layers.Dense(classes, name="output"),
        ]
    )


def dropped_inputs(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(classes, kernel_initializer="zeros", name="output"),
        ]
    )


def broken(input_shape, classes):
    raise RuntimeError("no network today")


def relu(x):
    """Has the name of one of Keras's functions, but leaks."""
    return keras.ops.leaky_relu(x, 0.3)


def own_relu(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(300, relu, name="hidden"),
            layers.Dense(classes, name="output"),
        ]
    )


def activity_regularized(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(30, "relu", activity_regularizer="l2", name="hidden"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(classes, kernel_regularizer="l2", name="output"),
        ]
    )


def three_layers(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(12, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Dense(8, "relu", name="second"),
            layers.Dense(classes, name="output"),
        ]
    )


def residual(input_shape, classes):
    """A small ResNet: a residual block with a shortcut of its own, batch normalization throughout."""

    def convolution(x, filters, size, stride, name):
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)

    inputs = keras.Input(input_shape)
    x = layers.ReLU()(convolution(inputs, 8, 3, 1, "stem"))
    y = layers.ReLU()(convolution(x, 16, 3, 2, "conv1"))
    y = convolution(y, 16, 3, 1, "conv2")
    x = layers.ReLU()(layers.Add()([y, convolution(x, 16, 1, 2, "shortcut")]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, name="output")(x), name="residual")


def half_frozen(input_shape, classes):
    """A network whose first layer isn't trained."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(20, "relu", name="backbone", trainable=False),
            layers.Dense(classes, name="output"),
        ]
    )
