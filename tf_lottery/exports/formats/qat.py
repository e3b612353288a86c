"""Quantization-aware training that keeps pruned weights at zero and gives a full-int8 LiteRT file.

It uses tensorflow-model-optimization (tfmot). Since tfmot's sparsity-preserving scheme doesn't mask depthwise
kernels, every kernel is masked here as well, after each step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.twin import twin
from tf_lottery.native import quiet_stderr
from tf_lottery.tfmot import load_tfmot

EXAMPLES = 1000
"""How many training examples the ranges of activations are read from."""
EPOCHS = 2
BATCH = 128
LEARNING_RATE = 1e-4
EVERY = 20
"""Steps between two reports of progress."""
_NARROW = 1e-3
"""The smallest range of activations. That of a unit that is always zero would be empty."""
_LEAST = 1e-3
"""The smallest range of a channel's weights, relative to its bias, which is stored in their steps."""


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
    """Train a sparse model a little more with simulated int8 arithmetic, and return its LiteRT file.

    Batch normalization keeps its statistics, and dropout is off. The same seed gives the same bits.

    Args:
        model: A trained plain model, zeros baked in. It isn't changed.
        x: Training inputs, floating-point, with examples first.
        y: Labels of classes, or arrays of the outputs' shape (then the loss is the mean squared error).
        epochs: The number of epochs to train, at least one.
        batch_size: The batch size. Examples beyond the last whole batch are dropped.
        learning_rate: The initial learning rate of Adam. It falls to zero.
        seed: The seed for the order of examples.
        noted: A function that is called with loss and accuracy, as a line of text, every 20 steps.

    Returns:
        The contents of a `.tflite` file: int8 weights, activations, inputs and outputs, for any number of
        examples at once (`resize_tensor_input`). Pruned weights are zeros.

    Raises:
        LotteryError: If the model has no twin in tf_keras, if tfmot can't quantize it, or if the data
            doesn't fit.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise LotteryError(f"Expected {name} of at least 1. Received: {value}")
    plain = twin(model)  # it already has its weights, since the scheme reads the zeros when it is applied
    x, y = _data(model, x, y)
    with quiet_stderr():
        aware = _quantized(model, plain)
        _seed_ranges(aware, x[np.random.default_rng(seed).permutation(len(x))[:EXAMPLES]])
    _train(aware, _loss(plain, y), x, y, epochs, min(batch_size, len(x)), learning_rate, seed, noted)
    _widen(aware)
    return _converted(model, aware)


def _quantized(model: keras.Model, plain: Any) -> Any:
    tfmot = load_tfmot()
    quantization = tfmot.quantization.keras
    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    try:
        aware = quantization.quantize_apply(quantization.quantize_annotate_model(plain), scheme)
    except Exception as error:  # tfmot may raise anything, depending on the layer
        raise _conversion_error(model, "tensorflow-model-optimization can't quantize", error) from error
    quantized = {id(kernel) for kernel in _kernels(aware)}
    for variable in aware.trainable_variables:
        if len(variable.shape) > 1 and id(variable) not in quantized:
            error = LotteryError(f"{variable.name} would stay unquantized")
            raise _conversion_error(model, "tensorflow-model-optimization can't quantize", error)
    return aware


def _wrappers(aware: Any) -> list[Any]:
    return [layer for layer in aware.layers if hasattr(layer, "_weight_vars")]


def _kernels(aware: Any) -> list[Any]:
    return [kernel for wrapper in _wrappers(aware) for kernel, *_ in wrapper._weight_vars]


def _masks(aware: Any) -> list[tuple[Any, tf.Tensor]]:
    return [(kernel, tf.constant(kernel.numpy() != 0)) for kernel in _kernels(aware)]


class _Observer:
    """A replacement for every quantizer that changes nothing and records the ranges of activations."""

    def __init__(self) -> None:
        self.ranges: dict[int, tuple[Any, float, float]] = {}

    def __call__(self, values: Any, training: bool, weights: dict[str, Any]) -> Any:
        # The range must contain zero, and must not be empty.
        low, high = min(float(np.min(values)), 0.0), max(float(np.max(values)), _NARROW)
        self.ranges[id(weights)] = weights, low, high
        return values


def _seed_ranges(aware: Any, x: np.ndarray) -> None:
    """Set the ranges of activations to those on the data.

    By default they start at +-6 and follow a slow average, so a short training would start near chance.
    """
    observer = _Observer()
    with _observed(aware, observer):
        aware(tf.constant(x), training=False)
    for variables, low, high in observer.ranges.values():
        if not variables["min_var"].shape.rank:  # ranges of weights follow them at each step
            variables["min_var"].assign(low)
            variables["max_var"].assign(high)


@contextmanager
def _observed(aware: Any, observer: _Observer) -> Iterator[None]:
    """Replace the quantizers by the observer, and restore them afterwards. The model must not be compiled."""
    originals: list[tuple[Any, str, Any]] = []

    def put(holder: Any, name: str, value: Any) -> None:
        originals.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)

    for wrapper in _wrappers(aware):
        put(wrapper, "_weight_vars", [(kernel, observer, r) for kernel, _, r in wrapper._weight_vars])
        for activation in wrapper._quantize_activations:
            put(activation, "quantizer", observer)
        if wrapper._output_quantizers:
            put(wrapper, "_output_quantizers", [observer])
    for layer in aware.layers:
        if getattr(layer, "quantizer", None) is not None:
            put(layer, "quantizer", observer)
    try:
        yield
    finally:
        for holder, name, value in reversed(originals):
            setattr(holder, name, value)


def _train(
    aware: Any,
    loss: Any,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    batch: int,
    learning_rate: float,
    seed: int,
    noted: Callable[[str], None],
) -> None:
    import tf_keras

    steps = len(x) // batch
    rate = tf_keras.optimizers.schedules.PolynomialDecay(learning_rate, epochs * steps, 0.0)
    optimizer = tf_keras.optimizers.Adam(rate, jit_compile=False)
    variables = aware.trainable_variables
    optimizer.build(variables)
    masks = _masks(aware)
    classes = y.dtype.kind in "iu"

    @tf.function(autograph=False)
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            outputs = aware(inputs, training=True)
            value = loss(targets, outputs)
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        for kernel, mask in masks:
            kernel.assign(tf.where(mask, kernel, 0.0))
        right = tf.argmax(outputs, -1, targets.dtype) == targets if classes else tf.zeros(1, bool)
        return value, tf.reduce_mean(tf.cast(right, tf.float32))

    generator = np.random.default_rng(seed)
    for epoch in range(1, epochs + 1):
        sums = np.zeros(2)
        rows = generator.permutation(len(x))[: steps * batch].reshape(steps, batch)
        for number, row in enumerate(rows, 1):
            with quiet_stderr():
                sums += [float(each) for each in step(x[row], y[row])]
            if number % EVERY == 1 or number == steps:
                right = f", accuracy {sums[1] / number:.4f}" if classes else ""
                where = f"epoch {epoch} of {epochs}, step {number} of {steps}"
                noted(f"quantization-aware training, {where}: loss {sums[0] / number:.4f}{right}")


def _widen(aware: Any) -> None:
    """Give channels without weights a range: int32 can't hold their biases with no range, or a tiny one."""
    for wrapper in _wrappers(aware):
        for *_, limits in wrapper._weight_vars:
            ranges = limits["max_var"].numpy()
            biases = np.abs(wrapper.layer.bias.numpy()).reshape(-1, ranges.size).max(axis=0)
            ranges = np.maximum(ranges, _LEAST * biases.reshape(ranges.shape))
            ranges = np.where(ranges == 0, 1, ranges).astype(np.float32)
            limits["max_var"].assign(ranges)
            limits["min_var"].assign(-ranges)


def _data(model: keras.Model, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.atleast_1d(x), np.atleast_1d(y)
    given, made = model.inputs[0].shape[1:], tuple(model.outputs[0].shape[1:])
    fits = x.ndim == len(given) + 1 and all(n in (None, m) for n, m in zip(given, x.shape[1:], strict=True))
    if x.dtype.kind != "f" or not fits or not len(x):
        raise LotteryError(
            f"Expected floating-point inputs of shape {(len(x), *given)}, as the model takes them. "
            f"Received: {x.dtype} of shape {x.shape}"
        )
    if y.shape == (len(x), 1) and y.dtype.kind in "iu" and made != (1,):
        y = y[:, 0]
    if len(y) != len(x):
        raise LotteryError(f"Expected as many labels as examples. Received: {len(y):,} and {len(x):,}")
    if y.dtype.kind in "iu" and y.shape[1:] == made[:-1] and made[-1] > 1:
        if not 0 <= y.min() <= y.max() < made[-1]:
            raise LotteryError(f"Expected labels 0 to {made[-1] - 1}. Received: {y.min()} to {y.max()}")
        return x.astype(np.float32, copy=False), y.astype(np.int64, copy=False)
    if y.dtype.kind in "fiub" and y.shape[1:] == made:
        return x.astype(np.float32, copy=False), y.astype(np.float32, copy=False)
    raise LotteryError(
        f"Expected integer labels of classes, or arrays of the outputs' shape {made}. "
        f"Received: {y.dtype} of shape {y.shape}"
    )


def _loss(plain: Any, y: np.ndarray) -> Any:
    import tf_keras

    if y.dtype.kind == "f":
        return tf_keras.losses.MeanSquaredError()
    last = getattr(plain.get_layer(plain.output_names[0]), "activation", None)
    logits = last is not tf_keras.activations.softmax
    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _converted(model: keras.Model, aware: Any) -> bytes:
    with quiet_stderr():
        converter = tf.lite.TFLiteConverter.from_keras_model(aware)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        try:
            return converter.convert()
        except Exception as error:  # the converter may raise anything, depending on the operation
            raise _conversion_error(model, "LiteRT can't convert", error) from error


def _conversion_error(model: keras.Model, what_failed: str, error: Exception) -> LotteryError:
    cause = " ".join(str(error).split())[:200]
    return LotteryError(f"{what_failed} {model.name!r}. Use weights 'int8' instead. The cause: {cause}")
