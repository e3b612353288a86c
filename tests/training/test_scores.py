import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tf_lottery.config import TrainingConfig
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.criteria import CRITERIA, Evidence
from tf_lottery.pruning.masks import zeroed
from tf_lottery.training import state
from tf_lottery.training.optimizers import make_loss
from tf_lottery.training.precision import precision
from tf_lottery.training.scores import KerasProbe

LOSS = make_loss(TrainingConfig(), 2)


class Noisy(layers.Layer):
    """Draws in inference, too."""

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x))


class Normalized(layers.Layer):
    """TensorFlow has its first derivative only."""

    def call(self, x):
        return tf.nn.local_response_normalization(x[:, None, None, :])[:, 0, 0, :]


def builder(make, shape=(4,)):
    """A function that builds a Sequential of what `make()` returns, under a policy."""

    def build(policy):
        with precision(policy), seeded(0):
            keras.utils.clear_session(free_memory=False)
            with precision(policy):
                return keras.Sequential([keras.Input(shape), *make()])

    return build


def dense(activation="tanh", **options):
    return lambda: [layers.Dense(3, activation, name="first", **options), layers.Dense(2, name="last")]


def drawn(build, seed=1):
    """Weights, biases and statistics away from zero, as a training would have them."""
    generator = np.random.default_rng(seed)
    return {
        name: value
        if "int" in value.dtype.name
        else np.float32(generator.uniform(0.2, 1, value.shape) * signs)
        for name, value in state.capture(state.model_variables(build("float32"))).items()
        for signs in [1 if "variance" in name else generator.choice([-1, 1], value.shape)]
    }


def batch(shape=(4,), examples=8):
    generator = np.random.default_rng(5)
    return generator.normal(size=(examples, *shape)).astype(np.float32), np.arange(
        examples, dtype=np.int32
    ) % 2


def probe_of(build, weights=None, x=None, y=None, kernels=("first/kernel", "last/kernel"), **options):
    if x is None:
        x, y = batch(build("float32").input_shape[1:])
    options = {"precision": "float64", "logits": True} | options
    return KerasProbe(build, LOSS, drawn(build) if weights is None else weights, x, y, kernels, **options)


def cross_entropy(logits, labels):
    """The mean loss less log(classes), precise where logits are close to zero."""
    return (np.log1p(np.expm1(logits).mean(-1)) - logits[np.arange(len(labels)), labels]).mean()


def dense_by_hand(w, x):
    return x @ w["first/kernel"] + w["first/bias"]


def convolution_by_hand(w, x):
    windows = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), axis=(1, 2))
    first = np.einsum("bijhw,hwf->bijf", windows, w["first/kernel"][:, :, 0]) + w["first/bias"]
    return first.reshape(len(x), -1)


def normalization_by_hand(w, x):
    hidden = dense_by_hand(w, x)
    hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-3)
    return hidden * w["norm/gamma"] + w["norm/beta"]


def convolution(activation):
    return lambda: [
        layers.Conv2D(2, 3, activation=activation, name="first"),
        layers.Flatten(),
        layers.Dense(2, name="last"),
    ]


def normalization():
    return [
        layers.Dense(3, name="first"),
        layers.BatchNormalization(name="norm"),
        layers.Activation("tanh"),
        layers.Dense(2, name="last"),
    ]


def relu(x):
    return np.maximum(x, 0)


NETWORKS = {
    "dense_tanh": (builder(dense("tanh")), dense_by_hand, np.tanh),
    "dense_relu": (builder(dense("relu")), dense_by_hand, relu),
    "convolution_tanh": (builder(convolution("tanh"), (4, 4, 1)), convolution_by_hand, np.tanh),
    "convolution_relu": (builder(convolution("relu"), (4, 4, 1)), convolution_by_hand, relu),
    "batch_normalization": (builder(normalization), normalization_by_hand, np.tanh),
}
STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
"""Central differences of fourth order."""


def differences(function, kernels, step=5e-3):
    """The derivative of a function of kernels, entry by entry."""
    slopes = {}
    for path, kernel in kernels.items():
        slopes[path] = np.zeros(kernel.shape)
        for index in np.ndindex(kernel.shape):
            for offset, factor in STENCIL:
                moved = kernel.copy()
                moved[index] += offset * step
                slopes[path][index] += factor / step * function(kernels | {path: moved})
    return slopes


class ByHand:
    """A `Probe` in NumPy, of finite differences in float64."""

    def __init__(self, name):
        self.build, self.hidden, self.activation = NETWORKS[name]
        self.weights = {path[6:]: np.float64(value) for path, value in drawn(self.build).items()}
        self.kernels = {path: self.weights[path] for path in ("first/kernel", "last/kernel")}
        generator = np.random.default_rng(9)
        self.masks = {path: generator.random(kernel.shape) < 0.7 for path, kernel in self.kernels.items()}
        self.x, self.y = batch(self.build("float32").input_shape[1:], 200)
        # Differences must not straddle the kink of relu.
        away = np.min(
            [
                np.abs(self.hidden(self.weights | zeroed(self.kernels, masks), self.x)).min(-1)
                for masks in ({}, self.masks)
            ],
            axis=0,
        )
        chosen = np.flatnonzero(away > 0.15)[:8] if self.activation is relu else np.arange(8)
        self.x, self.y = self.x[chosen], self.y[chosen]

    def outputs(self, weights, x):
        return self.activation(self.hidden(weights, x)) @ weights["last/kernel"] + weights["last/bias"]

    def loss(self, kernels, temperature=1.0):
        return cross_entropy(self.outputs(self.weights | kernels, self.x) / temperature, self.y)

    def gradients(self, masks):
        return differences(self.loss, zeroed(self.kernels, masks))

    def hessian_gradient(self, masks, temperature=1.0):
        kernels = zeroed(self.kernels, masks)
        gradient = differences(lambda moved: self.loss(moved, temperature), kernels)
        step = 5e-3 / max(np.abs(slope).max() for slope in gradient.values())

        def along(moved):
            """The derivative of the loss in the gradient's direction."""
            return sum(
                factor
                / step
                * self.loss(
                    {path: moved[path] + offset * step * gradient[path] for path in moved}, temperature
                )
                for offset, factor in STENCIL
            )

        return differences(along, kernels)

    def synflow(self, masks):
        weights = {path: np.abs(value) for path, value in self.weights.items()}
        ones, kernels = np.ones_like(self.x[:1]), zeroed({p: weights[p] for p in self.kernels}, masks)
        return differences(lambda moved: self.outputs(weights | moved, ones).sum(), kernels)


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_of_snip_grasp_and_synflow_are_those_of_finite_differences(name):
    hand = ByHand(name)
    assert len(hand.x) == 8
    probe = probe_of(hand.build, x=hand.x, y=hand.y)
    criteria = ["snip", "grasp", "synflow"]
    for criterion in criteria[: 2 if name == "batch_normalization" else 3]:  # whose flow isn't in batch mode
        for masks in ({}, hand.masks):
            measured, expected = (
                CRITERIA[criterion](Evidence(hand.kernels, masks=masks, probe=each)) for each in (probe, hand)
            )
            for path in hand.kernels:
                floor = 1e-8 * np.abs(expected[path]).max()
                assert np.allclose(measured[path], expected[path], 1e-5, floor), (
                    criterion,
                    path,
                    np.abs(measured[path] / expected[path] - 1).max(),
                )
