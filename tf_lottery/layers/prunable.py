"""`PrunableLayer`: a Keras layer together with the masks of its kernels."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from tf_lottery.errors import LotteryError
from tf_lottery.layers.kernels import KERNELS, kernel_names
from tf_lottery.layers.masking import guard, mask_gradient


@keras.saving.register_keras_serializable(package="tf_lottery")
class PrunableLayer(keras.layers.Wrapper):
    """Wraps a layer and holds a non-trainable boolean mask beside each of its kernels.

    A pruned weight is exactly 0.0 in the stored variable, its gradient and therefore its
    optimizer slots too. The inner layer runs as it is, inside a `keras.StatelessScope` that
    gives it kernels with masked gradients; the wrapper knows nothing of what it computes.

    Args:
        layer: a layer of a class in `tf_lottery.layers.kernels.KERNELS`.
        **kwargs: as of `keras.layers.Layer`. The name defaults to the inner layer's, so
            `model.get_layer` finds it under the name it had.

    Raises:
        LotteryError: if the layer has no kernels that we can prune.

    Example:
        >>> import keras, tf_lottery as lottery
        >>> layer = lottery.PrunableLayer(keras.layers.Dense(2))
        >>> layer.build((None, 3))
        >>> [variable.name for variable in layer.non_trainable_variables]
        ['kernel_mask']
    """

    def __init__(self, layer: keras.Layer, **kwargs: Any):
        if not kernel_names(layer):
            known = ", ".join(cls.__name__ for cls in KERNELS)
            raise LotteryError(
                f"Expected a layer with prunable kernels ({known}). "
                f"Received: {type(layer).__name__} {getattr(layer, 'name', '')!r}"
            )
        kwargs.setdefault("name", layer.name)
        kwargs.setdefault("dtype", layer.dtype_policy)
        kwargs.setdefault("trainable", layer.trainable)
        super().__init__(layer, **kwargs)
        self.supports_masking = layer.supports_masking

    def build(self, input_shape: Any = None) -> None:
        """Build the inner layer if it isn't built, then the masks, all ones."""
        super().build(input_shape)
        for name in kernel_names(self.layer):
            kernel = getattr(self.layer, name)
            kernel_mask = self.add_weight(
                shape=kernel.shape,
                dtype="bool",
                initializer="ones",
                trainable=False,
                name=f"{name}_mask",
            )
            setattr(self, f"{name}_mask", kernel_mask)
            guard(kernel, kernel_mask)

    def kernels(self) -> Iterator[tuple[str, keras.Variable, keras.Variable]]:
        """Yield name, kernel and mask variable of each prunable kernel."""
        for name in kernel_names(self.layer):
            yield name, getattr(self.layer, name), getattr(self, f"{name}_mask")

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Call the inner layer; gradients of pruned weights are zero."""
        # A nested scope hides an outer one, so every variable is passed on, not kernels only.
        masks = {id(kernel): ops.convert_to_tensor(kernel_mask) for _, kernel, kernel_mask in self.kernels()}
        present = []
        for variable in self.layer.variables:
            value = ops.convert_to_tensor(variable)
            if id(variable) in masks:
                value = mask_gradient(value, masks[id(variable)])
            present.append((variable, value))
        with keras.StatelessScope(present, collect_losses=True) as scope:
            outputs = self.layer(inputs, **kwargs)
        for variable, given in present:
            value = scope.get_current_value(variable)
            if value is not given:
                variable.assign(value)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs
