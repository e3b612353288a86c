"""A network whose kernels are read through masks that scores decide, with gradients for the scores alone."""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.layers.masking import MaskedScope
from tf_lottery.layers.paths import named_variables
from tf_lottery.layers.supermasks import SUPERMASKS
from tf_lottery.method.recipe import Supermask
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.scopes import Kept

Draw = Callable[[tuple[int, ...], tf.Tensor], tf.Tensor]
"""A function of a shape and a pair of integers that returns uniform float32 numbers in [0, 1)."""


@tf.custom_gradient
def straight_through(soft: tf.Tensor, hard: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Return `hard`, with the gradient as if it were `soft` (Bengio et al. 2013, straight-through)."""

    def grad(upstream):
        return upstream, None

    return tf.identity(hard), grad


class ScoredScope(MaskedScope):
    """A scope in which kernels are read as `kernel x factor`; kernels get no gradient, factors do.

    In all else it is a `MaskedScope`: other variables are read and written as usual.

    Args:
        pairs: Pairs of a kernel and what it is multiplied by, a tensor of its shape.
    """

    def _set_value(self, key: int, value) -> None:
        _, factor = self._pairs[key]
        kernel = tf.stop_gradient(tf.convert_to_tensor(value))
        self.state_mapping[key] = kernel * tf.cast(factor, kernel.dtype)


class ScoredNetwork(keras.Layer):
    """A plain network with a score for each weight of its kernels. Only the scores are trainable.

    Biases, normalization's scales and offsets and all other weights stay what they are; moving statistics of
    normalization follow the training. The network's kernels are read as in `ScoredScope`, where the factor is
    that of the supermask's kind, with the gradient straight through to the scores:
    dL/ds = dL/d(w m) x w x d soft(s)/ds.

    Args:
        network: A built plain network, at the weights that it keeps.
        kernels: The paths of the kernels that get scores.
        supermask: The settings.
        counts: Group of kernel paths -> how many of its weights stay. Kinds that learn a density ignore it.
        draw: The function that draws the numbers of kinds that draw masks in each step.

    Attributes:
        kernels: Kernel path -> kernel.
        scores: Kernel path -> scores, float32 or as precise as the kernel. A score is a `kernel` to the
            settings of weight decay, since it stands in for one.
        seeds: The state of the draws, which training steps advance; None for kinds that draw nothing.
    """

    def __init__(
        self,
        network: keras.Model,
        kernels: Sequence[str],
        supermask: Supermask,
        counts: Kept,
        draw: Draw,
    ):
        super().__init__(name="scored", autocast=False)
        self.network, self._kind = network, SUPERMASKS[supermask.kind]
        named = named_variables(network)
        own = {path: named[path] for path in kernels}
        scores = {path: self._score(path, kernel) for path, kernel in own.items()}
        seeds = keras.random.SeedGenerator(supermask.seed) if self._kind.drawn else None
        self.seeds = seeds
        # Not tracked: the kernels belong to the network, and settings aren't variables.
        self.__dict__ |= {"kernels": own, "scores": scores}
        self.__dict__ |= {"_supermask": supermask, "_counts": counts, "_draw": draw}
        self.__dict__["_decide"] = tf.function(self._hard)  # its loops are slow where they are eager
        self.built = True

    def _score(self, path: str, kernel: keras.Variable) -> keras.Variable:
        dtype = "float64" if kernel.dtype == "float64" else "float32"
        return self.add_weight(
            name=f"score_of_{path.replace('/', '_')}", shape=kernel.shape, dtype=dtype, initializer="zeros"
        )

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The scores."""
        return list(self.scores.values())

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """The scores, so that penalties of weights that aren't trained are no part of the loss."""
        return self.trainable_variables

    def draw_scores(self) -> None:
        """Set the scores to their first values, drawn with the supermask's seed."""
        for index, score in enumerate(self.scores.values()):
            generator = np.random.default_rng([self._supermask.seed, index])
            score.assign(self._kind.first(tuple(score.shape), generator).astype(score.dtype))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Call the network under its masks: in training drawn anew, if the kind draws them."""
        pairs = zip(self.kernels.values(), self._factors(training).values(), strict=True)
        with ScoredScope(pairs) as scope:
            outputs = self.network(inputs, training=training)
        scope.give_losses(self.network)
        return outputs

    def masks(self) -> Masks:
        """Return which weights are used outside of training."""
        return {path: value.numpy() != 0 for path, value in self._decide().items()}

    def baked(self) -> dict[str, np.ndarray]:
        """Return kernel path -> the weights that are used outside of training, +0.0 where they are pruned."""
        found = {}
        for path, hard in self._decide().items():
            kernel = keras.ops.convert_to_numpy(self.kernels[path])
            factor = self._scaled(hard).numpy().astype(kernel.dtype)
            found[path] = np.where(hard.numpy() != 0, kernel * factor, np.zeros_like(kernel))
        return found

    def _values(self) -> dict[str, tf.Tensor]:
        # `score.value` would be cast if a layer around this one computed in 16 bits.
        return {path: tf.convert_to_tensor(score._value) for path, score in self.scores.items()}

    def _hard(self) -> dict[str, tf.Tensor]:
        return self._kind.hard(self._values(), self._supermask, self._counts)

    def _factors(self, training: bool) -> dict[str, tf.Tensor]:
        """Return kernel path -> what it is multiplied by, with gradients for the scores."""
        scores = self._values()
        stopped = {path: tf.stop_gradient(value) for path, value in scores.items()}
        if training and self._kind.drawn:
            hard = self._drawn(stopped)
        else:
            hard = self._kind.hard(stopped, self._supermask, self._counts)
        return {
            path: self._scaled(straight_through(self._kind.soft(value), tf.stop_gradient(hard[path])))
            for path, value in scores.items()
        }

    def _drawn(self, scores: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sizes = [math.prod(value.shape) for value in scores.values()]
        numbers = tf.split(self._draw((sum(sizes),), self.seeds.next()), sizes)
        return {
            path: self._kind.drawn(value, tf.reshape(own, value.shape))
            for (path, value), own in zip(scores.items(), numbers, strict=True)
        }

    def _scaled(self, factor: tf.Tensor) -> tf.Tensor:
        """Scale a layer's weights by all / used ones, if asked for (Zhou et al. 2019, dynamic rescaling)."""
        if not self._supermask.rescale:
            return factor
        used = tf.reduce_sum(tf.cast(tf.not_equal(factor, 0), tf.int32))
        scale = tf.cast(tf.size(factor), factor.dtype) / tf.cast(tf.maximum(used, 1), factor.dtype)
        return factor * tf.stop_gradient(scale)
