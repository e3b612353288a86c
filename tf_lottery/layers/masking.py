"""A kernel and its mask: exact zeros, kept so with a masked gradient and guarded writes.

The raw kernel is exactly 0.0 where it is pruned, so the forward pass reads it as it is;
only the gradient is masked. That gives the same bits as multiplying in the forward pass
and costs half of it.
"""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops


@keras.ops.custom_gradient
def mask_gradient(kernel, kernel_mask):
    """Return `kernel` as it is; its gradient is exactly +0.0 where `kernel_mask` is False.

    The mask is an argument, not a closure: a closure breaks exports and loops.
    """

    def grad(*args, upstream=None):
        (upstream,) = args if upstream is None else (upstream,)
        if isinstance(upstream, tf.IndexedSlices):  # of the rows that an Embedding looked up
            return _mask_rows(upstream, kernel_mask), None
        # Not a product: that would keep NaN, and leave -0.0 in optimizer slots.
        return ops.where(kernel_mask, upstream, ops.zeros_like(upstream)), None

    return kernel, grad


def _mask_rows(gradient: tf.IndexedSlices, kernel_mask: tf.Tensor) -> tf.IndexedSlices:
    """Keep it sparse: optimizers of Keras treat rows that were looked up twice otherwise than their sum."""
    kept = tf.gather(kernel_mask, gradient.indices)
    values = tf.where(kept, gradient.values, tf.zeros_like(gradient.values))
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)


class MaskedScope(keras.StatelessScope):
    """Within it, whoever reads a kernel gets it with a masked gradient.

    Nothing else changes: other variables are read and written as they are, what is assigned to is
    written at once (a scope of Keras's would hold it back, also in loops, where it can't be
    taken out again), and an outer scope goes on holding.

    Args:
        pairs: of kernel and mask.
    """

    def __init__(self, pairs: Iterable[tuple[keras.Variable, keras.Variable]]):
        super().__init__(collect_losses=True, initialize_variables=False)
        self._pairs = {id(kernel): (kernel, kernel_mask) for kernel, kernel_mask in pairs}

    def __enter__(self) -> "MaskedScope":
        super().__enter__()
        # Computed here, not where they are read: that may be within a loop.
        for key, (kernel, _) in self._pairs.items():
            outer = self.original_scope and self.original_scope.get_current_value(kernel)
            # `kernel.value` would be cast already where computing is in 16 bits.
            self._give(key, kernel._value if outer is None else outer)
        return self

    def get_current_value(self, variable: keras.Variable):
        """Return what a variable is read as; None, in an outer scope, for itself."""
        value = super().get_current_value(variable)
        if value is not None:
            return value
        if self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        self._initialize(variable)
        return variable._value

    def add_update(self, update: tuple) -> None:
        """Write what the user's code assigns."""
        variable, value = update
        if self.original_scope is not None:
            self.original_scope.add_update(update)
        else:
            self._initialize(variable)
            variable._direct_assign(value)
            value = variable._value  # read anew: no gradient goes through what was assigned
        if id(variable) in self._pairs:
            self._give(id(variable), value)

    def give_losses(self, layer: keras.Layer) -> None:
        """Let each layer in `layer` have the losses that it added; to be called after the scope."""
        for inner in layer._flatten_layers():
            for loss in self.losses:
                if id(loss) in inner._loss_ids:
                    inner.add_loss(loss)

    def _initialize(self, variable: keras.Variable) -> None:
        """Give a variable its value that was made within the scope: a seed, as the first is drawn."""
        if variable._value is None:
            self.__exit__()
            with keras.StatelessScope():  # it does so as it is left
                pass
            super().__enter__()

    def _give(self, key: int, value) -> None:
        _, kernel_mask = self._pairs[key]
        self.state_mapping[key] = mask_gradient(
            ops.convert_to_tensor(value), ops.convert_to_tensor(kernel_mask)
        )


class _Unchanged(keras.constraints.Constraint):
    """Asks nothing, but makes optimizers assign through the variable."""

    def __call__(self, w):
        return w


@contextlib.contextmanager
def masked_slots_promised(variables: Iterable[keras.Variable]) -> Iterator[None]:
    """Leave out the second guard while an optimizer's update is traced.

    For loops that mask the optimizer's slots whenever a mask changes or a state is restored: with
    zero gradients and zero slots an update leaves zeros, and going over all weights once more
    costs a few percent of a step.
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
    Optimizers write to the backend's variable beneath it; but after each update they assign
    what the variable's constraint gives, so a constraint brings them here too. That matters
    where an optimizer holds moments of weights pruned since: loaded with `load_weights`, or
    of a loop of the user's own.

    A mask of all ones that comes from outside (weights that were saved before pruning, as
    one does to rewind) leaves the present mask in place: only `set_masks` brings weights
    back.
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
    """Give a layer, or a model, a mask for a kernel, all ones, and guard both; return the mask."""
    kernel_mask = layer.add_weight(
        shape=kernel.shape, dtype="bool", initializer="ones", trainable=False, name=f"{name}_mask"
    )
    guard(kernel, kernel_mask)
    return kernel_mask


def unguard(kernel: keras.Variable) -> None:
    """Make a kernel an ordinary variable again."""
    del kernel.assign
    if isinstance(kernel.constraint, _Unchanged):
        kernel.constraint = None
