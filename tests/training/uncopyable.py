"""Builders of networks that Keras can't copy, each beside one that it can, and that computes the same."""

import keras
from keras import layers, ops


class Halved(layers.Layer):
    """Halves its inputs and adds a loss; Keras can copy it."""

    def call(self, x):
        self.add_loss(0.1 * ops.mean(x * x))
        return x * 0.5


class NoConfig(Halved):
    def get_config(self):
        raise NotImplementedError("This layer has no settings.")


class NoKeywords(Halved):
    def __init__(self, name):
        super().__init__(name=name)


def _network(input_shape, classes, layer):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(30, "relu", name="hidden"),
            layer(name="halved"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3),
            layers.Dense(classes, name="output"),
        ]
    )


def copyable(input_shape, classes):
    return _network(input_shape, classes, Halved)


def no_config(input_shape, classes):
    return _network(input_shape, classes, NoConfig)


def no_keywords(input_shape, classes):
    return _network(input_shape, classes, NoKeywords)


def small(input_shape, classes):
    """Without what several replicas can't do together."""
    inputs = keras.Input(input_shape)
    hidden = layers.Dense(12, "relu", name="hidden")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(classes, name="output")(NoConfig(name="halved")(hidden)))


def tied(input_shape, classes):
    """The decoder reads the encoder's kernel."""
    inputs = keras.Input(input_shape)
    encoder = layers.Dense(12, "relu", name="encoder")
    code = encoder(layers.Flatten()(inputs))
    decoded = ops.einsum("bh,oh->bo", code, encoder.kernel)
    return keras.Model(inputs, layers.Dense(classes, name="output")(decoded))


_once = []


def same_again(input_shape, classes):
    if not _once:
        _once.append(small(input_shape, classes))
    return _once[0]


class OwnSequential(keras.Sequential):
    """Of which Keras copies a Sequential."""


def chain(input_shape, classes, of=OwnSequential):
    hidden = [layers.Dense(units, "relu", name=f"hidden{units}") for units in (300, 100)]
    return of([keras.Input(input_shape), layers.Flatten(), *hidden, layers.Dense(classes, name="output")])


def copyable_chain(input_shape, classes):
    return chain(input_shape, classes, keras.Sequential)
