"""Records everything that a call of a model does, so that two models can be compared."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree
from tensorflow.python.eager import context as tf_context

from tf_lottery.layers.paths import variables_without_masks, walk


@dataclass(frozen=True)
class RecordedCall:
    """What a call of a model computed, and which variables it used.

    Attributes:
        outputs: The outputs, followed by the masks of sequences that they carry.
        losses: The losses that layers added.
        written: Index of a variable -> value that the call wrote to it (statistics, seeds).
        read: Ids of the variables that the call read.
        gradients: Gradients of the trainable variables, in their order, or None where a variable has none.
            Empty in inference, and for models made of Keras's own layers only.
    """

    outputs: list[np.ndarray]
    losses: list[np.ndarray]
    written: dict[str, np.ndarray]
    read: set[int]
    gradients: list[np.ndarray | None]

    def parts(self) -> list[np.ndarray]:
        """Return all that two equal calls must have in common, except the gradients."""
        return [*self.outputs, *self.losses, *self.written.values()]


class RecordingScope(keras.StatelessScope):
    """A scope that records which variables are read, and holds back what is written."""

    def __init__(self):
        super().__init__(collect_losses=True)
        self.read: set[int] = set()

    def get_current_value(self, variable: keras.Variable) -> Any:
        """Return the value as which a variable is read, and record that it was."""
        self.read.add(id(variable))
        return super().get_current_value(variable)


def record_call(model: keras.Model, inputs: Any, training: bool) -> RecordedCall:
    """Call a model without changing any of its Keras variables, and return what the call did."""
    with _same_random_numbers(), RecordingScope() as scope, tf.GradientTape() as tape:
        outputs = model(inputs, training=training)
        losses = [ops.convert_to_tensor(loss) for loss in scope.losses]
        flat = tf.nest.flatten(outputs, expand_composites=True)
        total = _weighted_sum(flat) + sum(tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in losses)
    gradients = _gradients(model, tape, total) if training and _has_own_layers(model) else []
    masks = [getattr(each, "_keras_mask", None) for each in tree.flatten(outputs)]
    written = {
        str(index): to_numpy(scope.state_mapping[id(variable)])
        for index, variable in enumerate(variables_without_masks(model))
        if id(variable) in scope.state_mapping
    }
    flat = [*flat, *(mask for mask in masks if mask is not None)]
    return RecordedCall(
        [to_numpy(o) for o in flat], [to_numpy(loss) for loss in losses], written, scope.read, gradients
    )


def trained_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the trainable variables of a model, in the order of `variables_without_masks`."""
    trained = {id(variable) for variable in model.trainable_variables}
    return [variable for variable in variables_without_masks(model) if id(variable) in trained]


def to_numpy(value: Any) -> np.ndarray:
    """Return a tensor or variable as a NumPy array."""
    return np.asarray(ops.convert_to_numpy(value))


def _weighted_sum(outputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return a number that depends on every value of the float outputs, each with a different weight."""
    total = tf.zeros(())
    for output in outputs:
        if output.dtype.is_floating:
            weights = tf.cos(tf.range(tf.size(output), dtype=tf.float32))
            total += tf.reduce_sum(tf.reshape(tf.cast(output, tf.float32), [-1]) * weights)
    return total


def _has_own_layers(model: keras.Model) -> bool:
    """Return whether a layer of the model isn't one of Keras, so that its gradient may be custom, too."""
    kinds = {getattr(layer, "_plain_class", type(layer)) for _, layer, _ in walk(model)}
    return any(not kind.__module__.startswith("keras.") or kind is keras.layers.Lambda for kind in kinds)


def _gradients(model: keras.Model, tape: tf.GradientTape, total: tf.Tensor) -> list[np.ndarray | None]:
    """Return the gradients of the trainable variables; for kernels they are 0 where pruned."""
    gradients = tape.gradient(total, [variable._value for variable in trained_variables(model)])
    return [None if each is None else to_numpy(tf.convert_to_tensor(each)) for each in gradients]


@contextlib.contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Make global generators draw the same numbers each time, and restore their states afterwards."""
    # Keras's own generators are variables, which the scope holds back. TensorFlow has one once it is seeded.
    context = vars(tf_context.context())
    states = random.getstate(), np.random.get_state()
    seeds = {name: context[name] for name in ("_seed", "_rng") if name in context}
    random.seed(0)
    np.random.seed(0)
    tf.random.set_seed(0)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for name in ("_seed", "_rng"):
            context.pop(name, None)
        context.update(seeds)
