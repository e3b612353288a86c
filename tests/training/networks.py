"""Builders that the tests name in configs."""

import keras
from keras import layers


def with_dropout(input_shape, classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(30, "relu", name="hidden"),
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
