"""Every layer that can be pruned, in a small model: Functional or subclassed."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops

import tf_lottery as lottery
from tf_lottery.layers.access import kernels
from tf_lottery.layers.paths import variables_without_masks

register = keras.saving.register_keras_serializable(package="cases")


def one_after_another(parts: Sequence[keras.Layer], x: Any) -> Any:
    for part in parts:
        x = part(x)
    return x


@dataclass(frozen=True)
class Case:
    """A model of `parts`, called by `call` on inputs of `shape`, that has `masks` kernels."""

    parts: Callable[[], list[keras.Layer]]
    shape: tuple[int, ...]
    masks: int
    call: Callable[[Sequence[keras.Layer], Any], Any] = one_after_another
    kernels: Mapping = field(default_factory=dict)
    tokens: bool = False

    def inputs(self, size: int = 6) -> np.ndarray:
        random = np.random.default_rng(7)
        if self.tokens:
            return random.integers(0, 9, (size, *self.shape), dtype=np.int32)  # 0 is padding
        return random.normal(size=(size, *self.shape)).astype(np.float32)


@register
class Drawn(layers.Layer):
    """A constant that is drawn when the layer is made."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.constant = np.random.normal(size=6).astype(np.float32)

    def call(self, x):
        return x * self.constant


@register
class Block(layers.Layer):
    """A composite of the user's own: weights of its own that are no kernels, and layers."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.norm = layers.BatchNormalization()
        self.dense = layers.Dense(units, activation="relu")
        self.inner = [layers.Dense(units), layers.Dropout(0.3)]

    def build(self, shape):
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
        self.norm.build(shape)
        self.dense.build(shape)
        self.inner[0].build((*shape[:-1], self.units))

    def call(self, x, training=None):
        x = self.dense(self.norm(x, training=training)) * self.scale
        return self.inner[1](self.inner[0](x), training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class Leaf(layers.Layer):
    """A layer of the user's own that declares its kernels."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 5), name="matrix")
        self.shift = self.add_weight(shape=(shape[-1], 5), name="shift", initializer="normal")

    def call(self, x):
        return ops.tanh(ops.matmul(x, self.matrix) + ops.sum(self.shift, axis=0))

    def get_prunable_weights(self):
        return [self.matrix]


@register
class Watching(layers.Layer):
    """Adds a loss, and keeps a metric of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1")
        self.mean = keras.metrics.Mean(name="mean_output")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        x = self.dense(x)
        self.mean.update_state(x)
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


@register
class Noisy(layers.Layer):
    """Draws random numbers without a seed, in training and out of it."""

    def build(self, shape):
        self.dense = layers.Dense(4)
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x + keras.random.normal(ops.shape(x), dtype=x.dtype))


def _attend(parts, x):
    return parts[0](x, x)


def _attend_to_other(parts, x):
    attention, key, value = parts
    return attention(x, value(x)[:, :3], key=key(x)[:, :3])


def _attend_causally(parts, x):
    return parts[0](query=x, value=x, use_causal_mask=True)


def _attend_under_mask(parts, x):
    embedded = parts[0](x)
    return parts[1](embedded, embedded)


def _with_state(parts, x):
    """A second layer starts from the state of the first."""
    sequence, *state = parts[0](x)
    return parts[1](sequence, initial_state=state)


def _one(layer: Callable[..., keras.Layer], *args, **kwargs) -> Callable[[], list[keras.Layer]]:
    return lambda: [layer(*args, **kwargs)]


EMBEDDINGS = {layers.Embedding: "embeddings"}

CASES: dict[str, Case] = {
    "Dense": Case(_one(layers.Dense, 5, activation="relu"), (4,), 1),
    "EinsumDense": Case(_one(layers.EinsumDense, "abc,cd->abd", (None, 5), bias_axes="d"), (3, 4), 1),
    "Conv1D": Case(_one(layers.Conv1D, 4, 3), (6, 3), 1),
    "Conv2D": Case(_one(layers.Conv2D, 4, 3, padding="same", groups=2), (5, 5, 2), 1),
    "Conv3D": Case(_one(layers.Conv3D, 3, 2), (4, 4, 4, 2), 1),
    "Conv1DTranspose": Case(_one(layers.Conv1DTranspose, 3, 3, strides=2), (4, 2), 1),
    "Conv2DTranspose": Case(_one(layers.Conv2DTranspose, 3, 3, strides=2), (4, 4, 2), 1),
    "Conv3DTranspose": Case(_one(layers.Conv3DTranspose, 3, 2), (3, 3, 3, 2), 1),
    "DepthwiseConv1D": Case(_one(layers.DepthwiseConv1D, 3, depth_multiplier=2), (6, 3), 1),
    "DepthwiseConv2D": Case(_one(layers.DepthwiseConv2D, 3, depth_multiplier=2), (5, 5, 2), 1),
    "SeparableConv1D": Case(_one(layers.SeparableConv1D, 4, 3), (6, 3), 2),
    "SeparableConv2D": Case(_one(layers.SeparableConv2D, 4, 3), (5, 5, 2), 2),
    "MultiHeadAttention": Case(_one(layers.MultiHeadAttention, 2, 3, dropout=0.2), (4, 6), 4, _attend),
    "MultiHeadAttention_others": Case(
        lambda: [layers.MultiHeadAttention(2, 3, value_dim=2), layers.Dense(5), layers.Dense(4)],
        (5, 6),
        6,
        _attend_to_other,
    ),
    "MultiHeadAttention_causal": Case(_one(layers.MultiHeadAttention, 2, 3), (4, 6), 4, _attend_causally),
    "MultiHeadAttention_masked": Case(
        lambda: [layers.Embedding(9, 6, mask_zero=True), layers.MultiHeadAttention(2, 3)],
        (5,),
        4,
        _attend_under_mask,
        tokens=True,
    ),
    "GroupQueryAttention": Case(_one(layers.GroupQueryAttention, 3, 4, 2), (4, 6), 4, _attend),
    "Embedding": Case(
        lambda: [layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3)],
        (5,),
        3,
        kernels=EMBEDDINGS,
        tokens=True,
    ),
    "SimpleRNN": Case(_one(layers.SimpleRNN, 4), (4, 3), 2),
    "LSTM": Case(_one(layers.LSTM, 4, return_sequences=True, dropout=0.2, recurrent_dropout=0.2), (4, 3), 2),
    "LSTM_state": Case(
        lambda: [layers.LSTM(3, return_sequences=True, return_state=True), layers.LSTM(3)],
        (4, 3),
        4,
        _with_state,
    ),
    "GRU": Case(_one(layers.GRU, 4, dropout=0.2, recurrent_dropout=0.1), (4, 3), 2),
    "stacked_cells": Case(
        lambda: [layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)], (4, 3), 4
    ),
    "Bidirectional": Case(
        lambda: [layers.Bidirectional(layers.GRU(3, return_sequences=True, dropout=0.2))], (4, 3), 4
    ),
    "TimeDistributed": Case(lambda: [layers.TimeDistributed(layers.Dense(4))], (3, 4), 1),
    "ConvLSTM2D": Case(_one(layers.ConvLSTM2D, 2, 2), (3, 4, 4, 2), 2),
    "Block": Case(_one(Block), (4,), 2),
    "Leaf": Case(_one(Leaf), (4,), 1),
    "Watching": Case(_one(Watching), (4,), 1),
    "Noisy": Case(_one(Noisy), (4,), 1),
    "SpectralNormalization": Case(lambda: [layers.SpectralNormalization(layers.Dense(4))], (5,), 1),
}


@register
class Subclassed(keras.Model):
    """A case's layers in a model that Keras can't copy."""

    def __init__(self, case: str, **kwargs):
        super().__init__(**kwargs)
        self.case = case
        self.parts = CASES[case].parts()

    def call(self, x):
        return CASES[self.case].call(self.parts, x)

    def build(self, shape):
        self.call(keras.Input(batch_shape=shape, dtype="int32" if CASES[self.case].tokens else None))

    def get_config(self):
        return {**super().get_config(), "case": self.case}


def functional(name: str) -> keras.Model:
    """Return a case as a Functional model, with the same weights each time."""
    keras.utils.set_random_seed(3)
    case = CASES[name]
    inputs = keras.Input(case.shape, dtype="int32" if case.tokens else None)
    return keras.Model(inputs, case.call(case.parts(), inputs), name=name)


def subclassed(name: str) -> keras.Model:
    """Return a case as a subclassed model, with the same weights each time."""
    keras.utils.set_random_seed(3)
    model = Subclassed(name, name=name)
    model.build((None, *CASES[name].shape))
    return model


@register
class Together(keras.Model):
    """Cases side by side in a model that Keras can't copy."""

    def __init__(self, names: Sequence[str], **kwargs):
        super().__init__(**kwargs)
        self.names = list(names)
        self.parts = {name: CASES[name].parts() for name in names}

    def call(self, inputs):
        return {name: CASES[name].call(self.parts[name], inputs[name]) for name in self.names}


def together(style: str, names: Sequence[str]) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """Return one plain model of several cases, and its inputs."""
    keras.utils.set_random_seed(3)
    given = {name: CASES[name].inputs(8) for name in names}
    if style == "functional":
        inputs = {name: keras.Input(x.shape[1:], dtype=x.dtype.name, name=name) for name, x in given.items()}
        outputs = {name: CASES[name].call(CASES[name].parts(), inputs[name]) for name in names}
        return keras.Model(inputs, outputs), given
    model = Together(names)
    model({name: x[:1] for name, x in given.items()})
    return model, given


STYLES = {"functional": functional, "subclassed": subclassed}


def make(style: str, name: str) -> keras.Model:
    """Return a case, prunable."""
    return make_prunable(STYLES[style](name), kernels=CASES[name].kernels)


def make_prunable(plain: keras.Model, **choice: Any) -> keras.Model:
    """As of tf_lottery; that Leaf has a weight that it doesn't declare is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "These weights of layers of your own stay dense")
        return lottery.make_prunable(plain, **choice)


def targets(model: keras.Model, x: Any) -> Any:
    """Return something to learn, of the shape of a model's outputs."""

    def like(output, x):
        shape = [size or x.shape[axis] for axis, size in enumerate(output.shape)]
        return np.random.default_rng(8).normal(size=shape).astype(np.float32)

    given = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, dtype=x.dtype.name), x)
    return keras.tree.map_structure(like, model.compute_output_spec(given), x)


class Masked(keras.constraints.Constraint):
    """Prunes a plain model, in place of tf_lottery: a kernel is zero where `kernel_mask` is False."""

    def __init__(self, kernel_mask: np.ndarray):
        self.kernel_mask = kernel_mask

    def __call__(self, w):
        return ops.where(self.kernel_mask, w, ops.zeros_like(w))


def zero_like(plain: keras.Model, model: keras.Model) -> None:
    """Zero the weights of a plain model that are pruned in the prunable one, and keep them so."""
    masks = {id(kernel): kernel_mask.numpy() for kernel, kernel_mask in kernels(model).values()}
    theirs, ours = variables_without_masks(plain), variables_without_masks(model)
    for variable, kernel in zip(theirs, ours, strict=True):
        if id(kernel) in masks:
            variable.constraint = Masked(masks[id(kernel)])
            variable.assign(variable.constraint(variable))


def assert_equal(plain: keras.Model, model: keras.Model) -> None:
    """All variables, seeds and statistics and metrics too, are equal to the last bit."""
    theirs, ours = variables_without_masks(plain), variables_without_masks(model)
    for variable, own in zip(theirs, ours, strict=True):
        assert variable.numpy().tobytes() == own.numpy().tobytes(), variable.path


def assert_zeros(model: keras.Model, rate: float) -> None:
    """Pruned weights are exactly +0.0 on every replica, and as many as meant; survivors aren't."""
    for path, (kernel, kernel_mask) in kernels(model).items():
        copies = getattr(kernel.value, "values", [kernel.value])
        masks = getattr(kernel_mask.value, "values", [kernel_mask.value])
        for copy, mask in zip(copies, masks, strict=True):
            values, mask = copy.numpy(), mask.numpy()
            assert values[~mask].tobytes() == bytes(values[~mask].nbytes), path
            assert np.count_nonzero(values) == mask.sum() == mask.size - round(rate * mask.size), path
