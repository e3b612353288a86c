"""Moving statistics of batch normalization for weights that were never trained.

Between two trained networks the activations shrink, and the moving statistics between theirs fit none of the
networks there (Jordan et al. 2022, REPAIR). Forward passes on training batches give the statistics that a
network itself has.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tf_lottery.data.order import BatchOrder
from tf_lottery.training.feed import Feed, scale

_ORDER_SEED = 0
"""Of the batches, which are the same for all networks that are compared."""


def normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the layers of a model whose moving statistics follow the training."""
    every = model._flatten_layers()
    return [each for each in every if isinstance(each, keras.layers.BatchNormalization) and each.trainable]


class Recalibration:
    """Sets all moving statistics of a model to the means of those of some training batches.

    The model runs in training mode, with the layers' momentum at 0: after each batch their statistics are
    exactly that batch's. Nothing else of the model changes but the seeds of what is random.

    Args:
        model: The model, on one device.
        feed: The feed of its training examples.
        examples: The number of training examples.
        batches: The number of batches, at most an epoch's.
        xla: Whether XLA compiles the passes.
    """

    def __init__(self, model: keras.Model, feed: Feed, examples: int, batches: int, xla: bool):
        self._feed, self._order = feed, BatchOrder(_ORDER_SEED, examples, feed.batch_size)
        self._batches = min(batches, examples // feed.batch_size)
        layers = normalizations(model)
        self._statistics = [each for layer in layers for each in (layer.moving_mean, layer.moving_variance)]
        statistics = self._statistics

        @tf.function(jit_compile=xla, input_signature=[feed.spec()[0], tf.TensorSpec((), tf.int32)])
        def sums(x, count):
            totals = [tf.zeros(each.shape, tf.float32) for each in statistics]
            for step in tf.range(count):
                model(scale(x[step]), training=True)
                seen = [tf.cast(tf.convert_to_tensor(each), tf.float32) for each in statistics]
                totals = [total + each for total, each in zip(totals, seen, strict=True)]
            return totals

        with _without_memory(layers):
            self._sums = sums.get_concrete_function()

    def __call__(self) -> None:
        """Recalibrate the model with the weights that it has."""
        calls = range(0, self._batches, self._feed.steps_per_call)
        spans = [(first, min(first + self._feed.steps_per_call, self._batches)) for first in calls]
        totals = None
        for (first, last), (x, _) in zip(spans, self._feed.chunks(self._order, spans), strict=True):
            part = self._sums(x, tf.constant(last - first))
            totals = part if totals is None else [sum(each) for each in zip(totals, part, strict=True)]
        for variable, total in zip(self._statistics, totals, strict=True):
            variable.assign(total / self._batches)


@contextlib.contextmanager
def _without_memory(layers: list[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Let layers forget their moving statistics with each batch, in what is traced meanwhile."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
