"""Small trained sparse networks, for tests of exports."""

import keras
import numpy as np

from tf_lottery.layers.access import prune
from tf_lottery.layers.convert import make_prunable, strip

L = keras.layers


def dense_net(units=64):
    return keras.Sequential([keras.Input((8, 8, 1)), L.Flatten(), L.Dense(units, "relu"), L.Dense(10)])


def conv_net():
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = L.BatchNormalization()(x)
    x = L.ReLU()(x)
    x = L.MaxPooling2D()(x)
    x = L.Flatten()(x)
    x = L.Dropout(0.2)(x)
    return keras.Model(inputs, L.Dense(10)(x))


def trained_ticket(digits, build=dense_net, rate=0.9, epochs=10):
    """A network trained on digits, pruned, trained again, stripped."""
    keras.utils.set_random_seed(0)
    model = make_prunable(build())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, jit_compile=False, steps_per_execution=19)
    x, y = digits.train.x, digits.train.y
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    prune(model, rate=rate)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return strip(model)


def accuracy(outputs, digits):
    return float(np.mean(np.argmax(outputs, 1) == digits.test.y))
