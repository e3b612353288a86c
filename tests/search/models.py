"""Small models, real data, and a spy: shared by the tests of searches."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_diabetes, load_digits

import tf_lottery as lottery
from tf_lottery.layers.paths import named_variables

X, Y = load_digits(return_X_y=True)
X, Y = (X[:160] / 16).astype(np.float32), Y[:160].astype(np.int32)
TRAIN, VALIDATION = (X[:128], Y[:128]), (X[128:], Y[128:])
FIT = {"validation_data": VALIDATION, "epochs": 2, "batch_size": 32}
PER_EPOCH = 4
TABLE, TARGET = load_diabetes(return_X_y=True)
TABLE, TARGET = TABLE[:120].astype(np.float32) * 10, (TARGET[:120, None] / 300).astype(np.float32)


def small(optimizer="adam"):
    """The five-line model: 64-10-10, 740 weights."""
    parts = [layers.Dense(10, "relu", name="hidden"), layers.Dense(10, "softmax", name="output")]
    model = keras.Sequential([keras.Input((64,)), *parts])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def with_state():
    """A model whose state is more than weights: normalization, seeds of dropout, biases that aren't zero."""
    inputs = keras.Input((64,))
    x = layers.Dense(10, bias_initializer="normal", name="hidden")(inputs)
    x = layers.Dropout(0.3)(layers.BatchNormalization(name="norm")(x))
    model = keras.Model(inputs, layers.Dense(10, "softmax", name="output")(x))
    model.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def table(metrics=("mae",)):
    """A regression."""
    model = keras.Sequential([keras.Input((10,)), layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=list(metrics))
    return model


def search(model=small, rate=0.5, rounds=2, **settings):
    """A silent search."""
    return lottery.LotterySearch(model, rate=rate, rounds=rounds, verbose=0, **settings)


def state(model):
    """Every variable, copied."""
    return {path: np.array(variable.numpy()) for path, variable in named_variables(model).items()}


def same(first, second):
    """Whether arrays are equal to the last bit, and called alike."""
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )


class Spy(keras.callbacks.Callback):
    """What a user's own callback sees when a training begins, and after each step."""

    def __init__(self, at=()):
        super().__init__()
        self.begun, self.masks, self.optimizer, self.rates = [], [], [], []
        self.epochs, self.at, self.states, self._step = [], at, {}, 0

    def on_train_begin(self, logs=None):
        self.begun.append(state(self.model))
        self.masks.append(lottery.get_masks(self.model))
        built = self.model.optimizer.variables
        self.optimizer.append({v.path: np.array(v.numpy()) for v in built})
        self.rates.append(float(self.model.optimizer._learning_rate.numpy()))
        self._step = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append((len(self.begun) - 1, epoch))

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if len(self.begun) == 1 and self._step in self.at:
            self.states[self._step] = state(self.model)
