"""Models as users have them, and the data to fit them on, for `whole_way.py`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(50, 20, (96, 12)).astype(np.float32)
Y = (X[:, 0] > 50).astype(np.int32)
IMAGES = RANDOM.integers(0, 256, (32, 32, 32, 3)).astype(np.float32)
LABELS = RANDOM.integers(0, 4, 32).astype(np.int32)
WORDS = RANDOM.choice(["red", "blue", "green", "old"], (96, 3))
PACKAGE = "models_of_users"


def compiled(model: keras.Model, optimizer: Any = "adam", loss: str = "sparse_categorical_crossentropy"):
    """Return the model, compiled."""
    metrics = ["accuracy"] if loss.startswith("sparse") else []
    model.compile(optimizer, loss, metrics=metrics, jit_compile=False)
    return model


def sequential(first: keras.KerasTensor, *parts: keras.Layer, optimizer: Any = "adam") -> keras.Model:
    """Return a compiled classifier that starts with these layers."""
    head = layers.Dense(8, "relu"), layers.Dense(4, "softmax")
    return compiled(keras.Sequential([first, *parts, *head]), optimizer)


def adapted(layer: keras.Layer, data: Any) -> keras.Layer:
    """Return the layer, adapted to the data."""
    layer.adapt(data)
    return layer


def application(name: str) -> keras.Model:
    """Return a model of keras.applications with an adapted Normalization: its own, or one before it."""
    inputs = keras.Input((32, 32, 3))
    own = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=4)
    normalizing = [layer for layer in own.layers if isinstance(layer, layers.Normalization)]
    # The others have been given their statistics.
    unadapted = [layer for layer in normalizing if layer.input_mean is None]
    for layer in unadapted:
        layer.adapt(IMAGES)
    before = [] if unadapted else [adapted(layers.Normalization(), IMAGES)]
    x = inputs
    for layer in before:
        x = layer(x)
    return compiled(keras.Model(inputs, own(x)))


def tied() -> keras.Model:
    """Return an autoencoder whose decoder is its encoder's kernel."""
    inputs, encoder = keras.Input((12,)), layers.Dense(6, "relu", name="encoder")
    return compiled(keras.Model(inputs, ops.einsum("bh,oh->bo", encoder(inputs), encoder.kernel)), loss="mse")


def excluding() -> keras.Model:
    """Return a model whose optimizer doesn't decay biases."""
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return sequential(keras.Input((12,)), optimizer=optimizer)


def frozen() -> keras.Model:
    """Return a model of a frozen pre-trained backbone and a head."""
    backbone = keras.Sequential([keras.Input((12,)), layers.Dense(20, "relu"), layers.BatchNormalization()])
    backbone.compile("adam", "mse")
    backbone.fit(X, RANDOM.normal(size=(96, 20)), verbose=0)
    backbone.trainable = False
    return sequential(keras.Input((12,)), backbone)


def features() -> keras.Model:
    """Return a model of features that a FeatureSpace encodes."""
    space = keras.utils.FeatureSpace(
        {"size": "float_normalized", "colour": "string_categorical"}, output_mode="concat"
    )
    space.adapt(tf.data.Dataset.from_tensor_slices({"size": X[:, 0], "colour": WORDS[:, 0]}))
    outputs = layers.Dense(4, "softmax")(layers.Dense(8, "relu")(space.get_encoded_features()))
    return compiled(keras.Model(space.get_inputs(), outputs))


@keras.saving.register_keras_serializable(package=PACKAGE)
class VAE(keras.Model):
    """A variational autoencoder, as in Keras's own guide, with train and test steps but no call."""

    def __init__(self):
        super().__init__()
        inputs, code = keras.Input((12,)), keras.Input((2,))
        hidden = layers.Dense(8, "relu")(inputs)
        self.encoder = keras.Model(inputs, [layers.Dense(2)(hidden), layers.Dense(2)(hidden)])
        self.decoder = keras.Model(code, layers.Dense(12)(layers.Dense(8, "relu")(code)))
        self.seeds = keras.random.SeedGenerator(1)

    def loss_of(self, data: Any) -> Any:
        """Return the loss of a batch."""
        x = (data[0] if isinstance(data, tuple) else data) / 50.0
        mean, spread = self.encoder(x)
        code = mean + ops.exp(0.5 * spread) * keras.random.normal(ops.shape(mean), seed=self.seeds)
        far = ops.mean(mean**2 + ops.exp(spread) - spread - 1)
        return ops.mean((self.decoder(code) - x) ** 2) + far

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on a batch."""
        with tf.GradientTape() as tape:
            loss = self.loss_of(data)
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        return {"loss": loss}

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measure a batch."""
        return {"loss": self.loss_of(data)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class GAN(keras.Model):
    """Two networks and two optimizers, as in Keras's own guide."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(12)])
        self.discriminator = keras.Sequential([keras.Input((12,)), layers.Dense(8, "relu"), layers.Dense(1)])
        self.seeds = keras.random.SeedGenerator(1)

    def compile(self, first: Any, second: Any, **settings: Any) -> None:
        """Set an optimizer for each network."""
        super().compile(**settings)
        self.first, self.second = first, second
        self.first.build(self.discriminator.trainable_variables)
        self.second.build(self.generator.trainable_variables)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train both on a batch."""
        real = (data[0] if isinstance(data, tuple) else data) / 50.0
        noise = keras.random.normal((ops.shape(real)[0], 4), seed=self.seeds)
        losses = {}
        for name, part, optimizer, sign in (
            ("d_loss", self.discriminator, self.first, 1.0),
            ("g_loss", self.generator, self.second, -1.0),
        ):
            with tf.GradientTape() as tape:
                made = self.discriminator(self.generator(noise))
                loss = ops.mean(ops.softplus(sign * made))
                if name == "d_loss":
                    loss += ops.mean(ops.softplus(-self.discriminator(real)))
            optimizer.apply(tape.gradient(loss, part.trainable_weights), part.trainable_weights)
            losses[name] = loss
        return losses


def vae() -> keras.Model:
    """Return the VAE, compiled."""
    model = VAE()
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    return model


def gan() -> keras.Model:
    """Return the GAN, compiled."""
    model = GAN()
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01), jit_compile=False)
    return model


TABLE = {"x": X, "y": Y, "validation_data": (X, Y)}
STRINGS = tf.constant(WORDS)  # Keras's fit doesn't take NumPy strings
TEXT = {"x": STRINGS, "y": Y, "validation_data": (STRINGS, Y)}
SPACE = {"size": tf.constant(X[:, :1]), "colour": STRINGS[:, :1]}
PICTURES = {"x": IMAGES, "y": LABELS, "validation_data": (IMAGES, LABELS), "batch_size": 16}
APPLICATIONS = ("MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny")
INTEGERS = np.tile(np.arange(3, dtype=np.int64), (96, 1))

# name -> the function that builds it, the data to fit, the monitored quantity
MODELS: dict[str, tuple[Callable[[], keras.Model], dict[str, Any], str | None]] = {
    **{name: (lambda name=name: application(name), PICTURES, None) for name in APPLICATIONS},
    "Normalization": (
        lambda: sequential(keras.Input((12,)), adapted(layers.Normalization(), X)), TABLE, None,
    ),
    "Discretization": (
        lambda: sequential(keras.Input((12,)), adapted(layers.Discretization(num_bins=5), X)), TABLE, None,
    ),
    "StringLookup": (
        lambda: sequential(
            keras.Input((3,), dtype="string"), adapted(layers.StringLookup(output_mode="multi_hot"), WORDS)
        ),
        TEXT, None,
    ),
    "IntegerLookup": (
        lambda: sequential(
            keras.Input((3,), dtype="int64"), adapted(layers.IntegerLookup(output_mode="count"), INTEGERS)
        ),
        {"x": INTEGERS, "y": Y, "validation_data": (INTEGERS, Y)}, None,
    ),
    "TextVectorization": (
        lambda: sequential(
            keras.Input((), dtype="string"),
            adapted(layers.TextVectorization(output_sequence_length=3), WORDS.ravel()),
            layers.Embedding(9, 4),
            layers.Flatten(),
        ),
        {"x": STRINGS[:, 0], "y": Y, "validation_data": (STRINGS[:, 0], Y)}, None,
    ),
    "FeatureSpace": (features, {"x": SPACE, "y": Y, "validation_data": (SPACE, Y)}, None),
    "tied autoencoder": (tied, {"x": X, "y": X, "validation_data": (X, X)}, None),
    "AdamW exclusions": (excluding, TABLE, None),
    "frozen backbone": (frozen, TABLE, None),
    "VAE": (vae, {"x": X, "validation_data": (X,)}, None),
    "GAN": (gan, {"x": X}, "g_loss"),
}  # fmt: skip
