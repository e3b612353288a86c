"""The `Probe` of criteria that need gradients, on a Keras model: derivatives of the loss, and SynFlow's.

It builds plain networks of its own, on one device and without a strategy, so that the compiled one isn't
touched. Random layers and augmentation are off.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.arrays import Arrays
from tf_lottery.data.split import Split
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables
from tf_lottery.pruning.probe import Scores
from tf_lottery.training import state
from tf_lottery.training.feed import scale
from tf_lottery.training.own_network import (
    check_differentiable_twice,
    check_draws_nothing,
    exact_moments,
    in_batch_mode,
    own_network,
)
from tf_lottery.training.precision import full_precision

SLICE = 256
"""The most examples that are computed at once."""


class KerasProbe:
    """A `Probe` of one network at given weights, on given examples.

    The network is called in inference mode, so that dropout, noise and other random layers are off, except
    that batch normalization uses the statistics of its batch, as in training. A batch of more than `SLICE`
    examples is cut into slices of equal size, and the statistics are those of each slice: gradients and
    Hessian are those of the mean of the slices' losses. Penalties (weight decay, regularizers, `add_loss`)
    aren't part of the loss.

    Args:
        build: Function that builds the plain network anew under a dtype policy, `float32` or `float64`.
        loss: A function `(labels, outputs) -> loss of each example`.
        weights: All weights of the network by name, `model/<path>`, as `state.capture` gives them.
        x: The batch's inputs as the data's source provides them.
        y: The batch's labels, int32.
        kernels: The paths of the prunable kernels.
        precision: The type in which gradients are computed, `float32` or `float64`.
        outputs: What the network returns: `logits` or `probabilities` if the loss is a cross-entropy of
            them, else `values`.
        agree: Function that gets a digest of what a method is about to return, and raises an error if
            another worker has another one.
    """

    def __init__(
        self,
        build: Callable[[str], keras.Model],
        loss: Callable,
        weights: Arrays,
        x: np.ndarray,
        y: np.ndarray,
        kernels: Sequence[str],
        precision: str = "float32",
        outputs: str = "logits",
        agree: Callable[[str], None] = lambda digest: None,
    ):
        self._build, self._loss, self._weights, self._kernels = build, loss, weights, list(kernels)
        self._x, self._y, self._precision, self._outputs, self._agree = x, y, precision, outputs, agree

    def gradients(self, masks: Mapping[str, np.ndarray]) -> Scores:
        """Return the gradient of the mean loss, as in `Probe`.

        Raises:
            LotteryError: If a layer draws random numbers in inference mode, too, or computes in a smaller
                type, the builder returns the same model again, or the gradient isn't finite.
        """
        return self._named("gradient", self._gradients(masks, 1.0))

    def hessian_gradient(self, masks: Mapping[str, np.ndarray], temperature: float = 1.0) -> Scores:
        """Return the Hessian of the mean loss times its gradient, as in `Probe`.

        Raises:
            LotteryError: As `gradients` does, and if there is a temperature but no cross-entropy of logits,
                a layer stops gradients, or TensorFlow has no second derivative of an operation.
        """
        if temperature != 1 and self._outputs != "logits":
            raise LotteryError(
                "Expected a cross-entropy of logits, since this criterion divides them by a temperature. "
                f"Received: a loss of {self._outputs}. Set training.from_logits=true with a network that "
                "returns logits."
            )
        vectors = self._gradients(masks, temperature)
        return self._named("Hessian times the gradient", self._sums(self._products, temperature, *vectors))

    def synflow(self, masks: Mapping[str, np.ndarray]) -> Scores:
        """Return SynFlow's gradients, as in `Probe`.

        Absolute values are taken of all variables, those of batch normalization and its moving statistics
        included, as in the authors' code. Batch normalization uses its moving statistics.

        Raises:
            LotteryError: If a layer draws random numbers or computes in a smaller type, the builder returns
                the same model again, the flow isn't finite or is negative, or none reaches the outputs.
        """
        model, function = self._flow
        self._set_masks(model, masks, np.abs)
        outputs, *flows = (value.numpy() for value in function())
        saturated = self._outputs == "probabilities" or abs(outputs.sum() - 1) < 1e-6
        if saturated or not any(flow.any() for flow in flows):
            raise LotteryError(
                "Expected outputs that grow with the weights, such as logits, to measure the synaptic flow. "
                f"Received: {'probabilities' if saturated else 'outputs that depend on no kernel'}. Choose "
                "another criterion, or a network that returns logits."
            )
        largest = max(np.abs(flow).max() for flow in flows)
        negative = [
            path for path, flow in zip(self._kernels, flows, strict=True) if flow.min() < -1e-9 * largest
        ]
        if negative:  # as behind a layer normalization, which subtracts a mean: the scores would mean nothing
            raise LotteryError(
                f"The synaptic flow of {negative[0]} is negative, since a layer behind it doesn't grow with "
                "its inputs. Choose another criterion than 'synflow'."
            )
        return self._named("synaptic flow", flows)

    def move(self, weights: Arrays, x: np.ndarray, y: np.ndarray) -> None:
        """Go on to other weights and to another batch of as many examples or fewer, of the same type.

        Args:
            weights: All weights of the network by name, as before.
            x: The batch's inputs.
            y: The batch's labels.
        """
        self._weights, self._x, self._y = weights, x, y
        state.restore(state.model_variables(self._model), weights)

    def _gradients(self, masks: Mapping[str, np.ndarray], temperature: float) -> list[np.ndarray]:
        self._set_masks(self._model, masks)
        return self._sums(self._slopes, temperature)

    @cached_property
    def _model(self) -> keras.Model:
        model = own_network(self._build, self._precision, self._weights)
        in_batch_mode(model)
        return model

    @cached_property
    def _slopes(self) -> Callable:
        kernels = self._variables(self._model)

        def slopes(x, y, count, temperature):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(kernels)
                loss = self._share_of_loss(x, y, count, temperature)
            return _derivatives(tape, loss, kernels)

        return self._traced(slopes)

    @cached_property
    def _products(self) -> Callable:
        kernels = self._variables(self._model)

        def products(x, y, count, temperature, *vectors):
            with tf.GradientTape(watch_accessed_variables=False) as outer:
                outer.watch(kernels)
                with tf.GradientTape(watch_accessed_variables=False) as inner:
                    inner.watch(kernels)
                    loss = self._share_of_loss(x, y, count, temperature)
                slopes = _derivatives(inner, loss, kernels)
                along = tf.add_n([tf.reduce_sum(s * v) for s, v in zip(slopes, vectors, strict=True)])
            return _derivatives(outer, along, kernels)

        with exact_moments():
            traced = self._traced(
                products, *(tf.TensorSpec(kernel.shape, kernel.dtype) for kernel in kernels)
            )
        check_differentiable_twice(self._model, traced)
        return traced

    @cached_property
    def _flow(self) -> tuple[keras.Model, Callable]:
        model = own_network(self._build, "float64", self._weights, np.abs)
        kernels, ones = self._variables(model), tf.ones((1, *self._x.shape[1:]))

        @tf.function(input_signature=[])
        def flow():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(kernels)
                outputs = model(ones, training=False)
                total = tf.reduce_sum(outputs)
            return [outputs, *_derivatives(tape, total, kernels)]

        check_draws_nothing(model, flow)
        return model, flow

    def _share_of_loss(self, x, y, count, temperature) -> tf.Tensor:
        """Return what some of `count` examples add to their mean loss."""
        outputs = full_precision(self._model(scale(x), training=False))
        losses = self._loss(y, outputs / tf.cast(temperature, outputs.dtype))
        return tf.reduce_sum(losses) / tf.cast(count, losses.dtype)

    def _traced(self, function: Callable, *further: tf.TensorSpec) -> Callable:
        batch = tf.TensorSpec((None, *self._x.shape[1:]), self._x.dtype)
        signature = [batch, tf.TensorSpec((None,), tf.int32), *[tf.TensorSpec((), tf.float32)] * 2, *further]
        traced = tf.function(function, input_signature=signature)
        try:
            traced.get_concrete_function()
        except Exception as error:  # AutoGraph gives a LookupError another class
            if "gradient registry has no entry for:" not in str(error):
                raise
            raise LotteryError(
                f"TensorFlow has no derivative of {str(error).split()[-1]}, which this criterion needs. "
                "Choose another criterion."
            ) from error
        check_draws_nothing(self._model, traced)
        return traced

    def _sums(self, function: Callable, temperature: float, *further: np.ndarray) -> list[np.ndarray]:
        """Add up over slices, in float64, what a function returns for each kernel."""
        count = len(self._y)
        rows = np.array_split(np.arange(count), -(-count // SLICE))
        parts = (
            [p.numpy() for p in function(self._x[r], self._y[r], count, temperature, *further)] for r in rows
        )
        first = next(parts)
        sums = [part.astype(np.float64) for part in first]
        for each in parts:
            sums = [total + part for total, part in zip(sums, each, strict=True)]
        return [total.astype(part.dtype) for total, part in zip(sums, first, strict=True)]

    def _variables(self, model: keras.Model) -> list[tf.Variable]:
        variables = named_variables(model)
        return [variables[path].value for path in self._kernels]

    def _set_masks(
        self, model: keras.Model, masks: Mapping[str, np.ndarray], transform: Callable = lambda values: values
    ) -> None:
        for path, kernel in zip(self._kernels, self._variables(model), strict=True):
            weights = transform(self._weights[f"model/{path}"])
            kernel.assign(np.where(masks[path], weights, 0) if path in masks else weights)

    def _named(self, what: str, values: Sequence[np.ndarray]) -> Scores:
        named = dict(zip(self._kernels, values, strict=True))
        for path, value in named.items():
            if not np.isfinite(value).all():
                raise LotteryError(
                    f"The {what} of {path} is NaN or infinite. Choose another criterion, or smaller weights."
                )
        digest = hashlib.sha256()
        for value in values:
            digest.update(np.ascontiguousarray(value))
        self._agree(digest.hexdigest())
        return named


def draw_examples(split: Split, examples: int, seed: int) -> dict[str, np.ndarray]:
    """Draw a batch without replacement.

    Args:
        split: The training examples.
        examples: How many to draw; all of them if there are fewer.
        seed: Seed of the draw.

    Returns:
        `x`, inputs as the source provides them, and `y`, labels, in the order in which they were drawn.
    """
    rows = np.random.default_rng(seed).permutation(len(split))[:examples]
    return {"x": split.take(rows), "y": split.y[rows]}


def _derivatives(tape: tf.GradientTape, target: tf.Tensor, kernels: list[tf.Variable]) -> list[tf.Tensor]:
    """Return derivatives as tensors, those of embeddings too; zeros where nothing depends on a kernel."""
    slopes = tape.gradient(target, kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(slope) for slope in slopes]
