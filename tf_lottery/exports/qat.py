"""Quantization-aware training that keeps pruned weights at zero, to a full-int8 LiteRT file.

Through tensorflow-model-optimization: its scheme takes a mask of each kernel's zeros and applies it after
quantizing, at each step.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.exports.twin import twin
from tf_lottery.native import quiet_stderr
from tf_lottery.tfmot import load_tfmot

EXAMPLES = 1000
"""Training examples from which the ranges of activations are read."""
EPOCHS = 2
BATCH = 128
LEARNING_RATE = 1e-4
EVERY = 20
"""Steps after which progress is told."""


def quantize_aware(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int = EPOCHS,
    batch_size: int = BATCH,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    noted: Callable[[str], None] = lambda line: None,
) -> bytes:
    """Train a sparse model a little more, knowing that it will be int8, and return the LiteRT file.

    Args:
        model: trained, plain, zeros baked in; it stays as it is.
        x: training inputs, float32, examples first.
        y: labels of classes, or arrays of the outputs' shape (then the loss is the mean squared error).
        epochs: of training.
        batch_size: of training.
        learning_rate: of Adam.
        seed: of the order of examples and of dropout.
        noted: hears loss and accuracy, now and then.

    Returns:
        A `.tflite` file: int8 weights, activations, inputs and outputs; pruned weights are zeros.

    Raises:
        LotteryError: a model that has no twin in tf_keras, or that tensorflow-model-optimization can't take.
    """
    tfmot = load_tfmot()
    import tf_keras

    plain = twin(model)  # with its weights: the masks of zeros are taken when the scheme is applied
    quantization = tfmot.quantization.keras
    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    try:
        with quiet_stderr():
            aware = quantization.quantize_apply(quantization.quantize_annotate_model(plain), scheme)
    except (ValueError, RuntimeError, AttributeError) as error:  # what it raises depends on the layer
        raise LotteryError(
            "Expected a model that tensorflow-model-optimization quantizes. Received: "
            f"{model.name!r}, of which it says: {' '.join(str(error).split())[:200]}"
        ) from error
    x = np.asarray(x, np.float32)
    _seed_ranges(tf_keras, plain, aware, x[np.random.default_rng(seed).permutation(len(x))[:EXAMPLES]])
    loss, metrics = _loss(tf_keras, model, y)
    aware.compile(tf_keras.optimizers.Adam(learning_rate), loss, metrics=metrics)
    order, steps = np.random.default_rng(seed), -(-len(x) // batch_size)
    tf_keras.utils.set_random_seed(seed)
    for epoch in range(epochs):
        rows = order.permutation(len(x))
        with quiet_stderr():
            progress = _Progress(noted, f"quantization-aware training, epoch {epoch + 1} of {epochs}", steps)
            callback = tf_keras.callbacks.LambdaCallback(on_batch_end=progress)
            aware.fit(x[rows], y[rows], batch_size, shuffle=False, verbose=0, callbacks=[callback])
    return _converted(aware)


class _Progress:
    """Tells loss and accuracy, now and then and of the last step."""

    def __init__(self, noted: Callable[[str], None], what: str, steps: int):
        self._noted, self._what, self._steps = noted, what, steps

    def __call__(self, batch: int, logs: dict[str, float]) -> None:
        if batch % EVERY == 0 or batch + 1 == self._steps:
            said = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
            self._noted(f"{self._what}, step {batch + 1} of {self._steps}: {said}")


def _seed_ranges(tf_keras: Any, plain: Any, aware: Any, x: np.ndarray) -> None:
    """Give activations the ranges that they have on data.

    They begin at +-6 and follow with a slow average, so a short training would start near chance.
    """
    names = [layer.name for layer in plain.layers]
    for layer in aware.layers:
        found = {v.name.rpartition("/")[2].split(":")[0]: v for v in layer.weights}
        for kind in ("quantize_layer", "output", "post_activation", "pre_activation"):
            if f"{kind}_min" not in found:
                continue
            name = layer.name.removeprefix("quant_")
            if kind == "quantize_layer":
                values = x
            elif name not in names:
                continue
            else:
                values = _outputs(tf_keras, plain, plain.get_layer(name), kind == "pre_activation", x)
            # Zero has to be in the range, and the range mustn't be empty.
            found[f"{kind}_min"].assign(min(float(values.min()), 0.0))
            found[f"{kind}_max"].assign(max(float(values.max()), 1e-3))


def _outputs(tf_keras: Any, plain: Any, layer: Any, before_activation: bool, x: np.ndarray) -> np.ndarray:
    if before_activation:
        kept, layer.activation = layer.activation, tf_keras.activations.linear
        try:
            return tf_keras.Model(plain.input, layer(layer.input)).predict(x, verbose=0)
        finally:
            layer.activation = kept
    return tf_keras.Model(plain.input, layer.output).predict(x, verbose=0)


def _loss(tf_keras: Any, model: keras.Model, y: np.ndarray) -> tuple[Any, list[str]]:
    y, shape = np.asarray(y), tuple(model.outputs[0].shape[1:])
    if y.dtype.kind in "iu" and y.ndim == 1 and len(shape) == 1 and shape[0] > 1:
        last = model.layers[-1]
        softmax = getattr(last, "activation", None) is keras.activations.softmax
        logits = not (softmax or isinstance(last, keras.layers.Softmax))
        return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits), ["accuracy"]
    if y.dtype.kind in "fiub" and y.shape[1:] == shape:
        return tf_keras.losses.MeanSquaredError(), []
    raise LotteryError(
        f"Expected labels of classes, or arrays of the outputs' shape {shape}. "
        f"Received: {y.dtype} of shape {y.shape}"
    )


def _converted(aware: Any) -> bytes:
    import tensorflow as tf

    with quiet_stderr():
        converter = tf.lite.TFLiteConverter.from_keras_model(aware)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()
