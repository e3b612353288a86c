"""Keeps pruned weights at exactly 0.0, with a masked gradient and guarded writes.

The raw kernel is exactly 0.0 where it is pruned, so the forward pass reads it directly, and
only the gradient is masked. This gives the same bits as multiplying by the mask in the forward pass,
at half the cost.
"""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops


@keras.ops.custom_gradient
def mask_gradient(kernel, kernel_mask):
    """Return `kernel` unchanged, with a gradient of exactly +0.0 where `kernel_mask` is False.

    The mask is an argument because a closure breaks exports and loops.
    """

    def grad(*args, upstream=None):
        (upstream,) = args if upstream is None else (upstream,)
        if isinstance(upstream, tf.IndexedSlices):  # the gradient of an Embedding, for the rows it looked up
            return _mask_rows(upstream, kernel_mask), None
        # A product would keep NaN, and would leave -0.0 in optimizer slots.
        return ops.where(kernel_mask, upstream, ops.zeros_like(upstream)), None

    return kernel, grad


def _mask_rows(gradient: tf.IndexedSlices, kernel_mask: tf.Tensor) -> tf.IndexedSlices:
    """Mask a sparse gradient and keep it sparse.

    Keras's optimizers treat rows that were looked up twice differently from their sum.
    """
    kept = tf.gather(kernel_mask, gradient.indices)
    values = tf.where(kept, gradient.values, tf.zeros_like(gradient.values))
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)


class MaskedScope(keras.StatelessScope):
    """A scope in which kernels are read with a masked gradient.

    Nothing else changes: other variables are read and written as usual, assignments are written at
    once (a scope of Keras would hold them back, even in loops, from which they can't be
    taken out again), and an outer scope keeps holding its updates.

    Args:
        pairs: Pairs of a kernel and its mask variable.
    """

    def __init__(self, pairs: Iterable[tuple[keras.Variable, keras.Variable]]):
        super().__init__(collect_losses=True, initialize_variables=False)
        self._pairs = {id(kernel): (kernel, kernel_mask) for kernel, kernel_mask in pairs}

    def __enter__(self) -> "MaskedScope":
        super().__enter__()
        # Computed here because a kernel may be read inside a loop.
        for key, (kernel, _) in self._pairs.items():
            outer = self.original_scope and self.original_scope.get_current_value(kernel)
            # `kernel.value` would already be cast if the computation is in 16 bits.
            self._set_value(key, kernel._value if outer is None else outer)
        return self

    def get_current_value(self, variable: keras.Variable):
        """Return the value as which a variable is read; None in an outer scope that has none for it."""
        value = super().get_current_value(variable)
        if value is not None:
            return value
        if self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        self._initialize(variable)
        return variable._value

    def add_update(self, update: tuple) -> None:
        """Write what the user's code assigns to a variable."""
        variable, value = update
        if self.original_scope is not None:
            self.original_scope.add_update(update)
        else:
            self._initialize(variable)
            variable._direct_assign(value)
            value = variable._value  # read again: no gradient flows through the assigned value
        if id(variable) in self._pairs:
            self._set_value(id(variable), value)

    def give_losses(self, layer: keras.Layer) -> None:
        """Hand each layer in `layer` the losses that it added. Call this after leaving the scope."""
        for inner in layer._flatten_layers():
            for loss in self.losses:
                if id(loss) in inner._loss_ids:
                    inner.add_loss(loss)

    def _initialize(self, variable: keras.Variable) -> None:
        """Initialize a variable that was created within the scope, such as a seed at the first draw."""
        if variable._value is None:
            self.__exit__()
            with keras.StatelessScope():  # initializes variables when it is left
                pass
            super().__enter__()

    def _set_value(self, key: int, value) -> None:
        _, kernel_mask = self._pairs[key]
        self.state_mapping[key] = mask_gradient(
            ops.convert_to_tensor(value), ops.convert_to_tensor(kernel_mask)
        )


class _Unchanged(keras.constraints.Constraint):
    """Constrains nothing, but makes optimizers write through the variable's `assign`."""

    def __call__(self, w):
        return w


@contextlib.contextmanager
def masked_slots_promised(variables: Iterable[keras.Variable]) -> Iterator[None]:
    """Drop the second guard while an optimizer's update is traced.

    This is for loops that mask the optimizer's slots whenever a mask changes or a state is restored. With
    zero gradients and zero slots an update leaves zeros, and another pass over all weights would
    cost a few percent of a step.
    """
    guarded = [v for v in variables if isinstance(v.constraint, _Unchanged)]
    constraints = [v.constraint for v in guarded]
    for variable in guarded:
        variable.constraint = None
    try:
        yield
    finally:
        for variable, constraint in zip(guarded, constraints, strict=True):
            variable.constraint = constraint


def guard(kernel: keras.Variable, kernel_mask: keras.Variable) -> None:
    """Make every later `assign` to either variable keep pruned weights at exactly 0.0.

    `load_weights`, `set_weights`, `load_model` and rewinding all write through `assign`.
    Optimizers write to the backend's variable beneath it, but after each update they assign
    the result of the variable's constraint, so a constraint makes them go through `assign`, too. That
    matters if an optimizer holds moments of weights that were pruned later, because they were loaded with
    `load_weights` or belong to the user's own loop.

    Assigning a mask of all ones (from weights saved before pruning, as one does to rewind) keeps the
    current mask: only `set_masks` brings weights back.
    """
    plain_assign, plain_assign_mask = kernel.assign, kernel_mask.assign

    def assign(value):
        value = ops.cast(ops.convert_to_tensor(value), kernel.dtype)
        return plain_assign(ops.where(kernel_mask, value, ops.zeros_like(value)))

    def force_mask(value):
        plain_assign_mask(value)
        assign(kernel)

    def assign_mask(value):
        if np.all(ops.convert_to_numpy(value)):
            return kernel_mask.value
        force_mask(value)
        return kernel_mask.value

    kernel.assign = assign
    if kernel.constraint is None:
        kernel.constraint = _Unchanged()
    kernel_mask.assign = assign_mask
    kernel_mask.force = force_mask


def add_mask(layer: keras.Layer, name: str, kernel: keras.Variable) -> keras.Variable:
    """Give a layer or a model a mask of ones for a kernel, guard both, and return the mask."""
    kernel_mask = layer.add_weight(
        shape=kernel.shape, dtype="bool", initializer="ones", trainable=False, name=f"{name}_mask"
    )
    guard(kernel, kernel_mask)
    return kernel_mask


def unguard(kernel: keras.Variable) -> None:
    """Make a guarded kernel an ordinary variable again."""
    del kernel.assign
    if isinstance(kernel.constraint, _Unchanged):
        kernel.constraint = None
