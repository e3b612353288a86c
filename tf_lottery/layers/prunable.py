"""`PrunableLayer`: a Keras layer together with the masks of its kernels."""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops, tree

from tf_lottery.errors import LotteryError
from tf_lottery.layers import in_place  # noqa: F401  registers its models with Keras, too
from tf_lottery.layers.kernels import DECLARES, KERNELS, PrunableChoice
from tf_lottery.layers.masking import MaskedScope, add_mask
from tf_lottery.layers.paths import HoldsMasks, children, named_variables


@keras.saving.register_keras_serializable(package="tf_lottery")
class PrunableLayer(keras.layers.Wrapper, HoldsMasks):
    """Wraps a layer and holds a non-trainable boolean mask beside each of its kernels.

    A pruned weight is exactly 0.0 in the stored variable; so are its gradient and therefore its
    optimizer slots. The inner layer runs unchanged, whatever it is: only its kernels are
    read with a masked gradient.

    Args:
        layer: A layer that has kernels, or contains layers that do.
        kernels: Which of the layer's weights are kernels, as names (`"kernel"`, or a path such as
            `"query/kernel"`) or indices in `layer.weights`. Default: those of the classes in
            `tf_lottery.layers.kernels.KERNELS`, and those that a layer's own method
            `get_prunable_weights` returns.
        **kwargs: Arguments of `keras.layers.Layer`. The name defaults to the inner layer's, so that
            `model.get_layer` finds the layer under its old name.

    Raises:
        LotteryError: If the layer has no kernels that can be pruned.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> layer = lottery.PrunableLayer(keras.layers.Dense(2))
        >>> layer.build((None, 3))
        >>> [variable.name for variable in layer.non_trainable_variables]
        ['kernel_mask']
    """

    def __init__(self, layer: keras.Layer, kernels: Sequence[str | int] | None = None, **kwargs: Any):
        if not isinstance(layer, keras.Layer):
            raise LotteryError(f"Expected a Keras layer. Received: {type(layer).__name__}")
        if kernels is None and not _may_have_kernels(layer):
            raise _without_kernels(layer)
        kwargs.setdefault("name", layer.name)
        kwargs.setdefault("dtype", layer.dtype_policy)
        kwargs.setdefault("trainable", layer.trainable)
        super().__init__(layer, **kwargs)
        # Keras uses the signature to match arguments, and to find the masks of sequences for them.
        self._call_signature = inspect.signature(layer.call)
        self.supports_masking = layer.supports_masking
        self.autocast = layer.autocast
        self._chosen = None if kernels is None else tuple(kernels)
        self.__dict__["_masked"] = []  # not tracked, since the kernels belong to the inner layer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the inner layer, after building it as its own call would, whatever the arguments are."""
        if not self.built and not _is_whole(self.layer):
            with keras.name_scope(self.name):
                self.layer(*_symbolic(args), **_symbolic(kwargs))
        return super().__call__(*args, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Build the inner layer if it isn't built, then create masks of ones."""
        super().build(input_shape)
        if not _is_whole(self.layer):
            raise LotteryError(
                "Expected a layer whose kernels all exist once it is built. "
                f"Received: {self.layer.name!r}. Call it first, or build its sublayers in its build method."
            )
        for name, kernel in self._kernels().items():
            name = name.replace("/", "_")
            kernel_mask = add_mask(self, name, kernel)
            setattr(self, f"{name}_mask", kernel_mask)
            self._masked.append((kernel, kernel_mask))

    def _kernels(self) -> dict[str, keras.Variable]:
        """Return name -> kernel variable, in the order of the inner layer's weights."""
        named, weights = named_variables(self.layer), self.layer.weights
        if self._chosen is None:
            chosen = {id(v) for v in PrunableChoice(frozen=True).kernels_of(self.layer).values()}
        else:
            try:
                chosen = {id(weights[k] if isinstance(k, int) else named[k]) for k in self._chosen}
            except (IndexError, KeyError) as error:
                raise LotteryError(
                    f"Expected kernels of {self.layer.name!r} to be names of its weights "
                    f"({', '.join(named)}) or indices. Received: {list(self._chosen)}"
                ) from error
        if not chosen:
            raise _without_kernels(self.layer)
        return {name: variable for name, variable in named.items() if id(variable) in chosen}

    def masked(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Return pairs of a kernel and its mask variable."""
        return self._masked

    def stands_for(self) -> keras.Layer:
        """Return the inner layer."""
        return self.layer

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the inner layer, with zero gradients for pruned weights."""
        with MaskedScope(self._masked) as scope:
            outputs = self.layer(*args, **kwargs)
        scope.give_losses(self.layer)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the inner layer's output spec."""
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the inner layer's output shape."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: the inner layer has already set the mask of sequences, if there is one."""

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the build configuration of the inner layer."""
        return self.layer.get_build_config()

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the inner layer from its build configuration, then create the masks."""
        if not self.layer.built:
            self.layer.build_from_config(config)
        if self.layer.built:
            self.build()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that create this layer."""
        config = super().get_config()
        if self._chosen is not None:
            # Names that Keras numbers (`dense_3`) differ in another process.
            chosen = {id(kernel) for kernel, _ in self._masked}
            indices: list[str | int] = [i for i, v in enumerate(self.layer.weights) if id(v) in chosen]
            config["kernels"] = indices or list(self._chosen)
        return config


def _may_have_kernels(layer: keras.Layer) -> bool:
    """Return whether a layer, which may be unbuilt, has kernels or contains a layer that does."""
    if hasattr(layer, DECLARES) or any(
        isinstance(layer, known) for known in KERNELS if isinstance(known, type)
    ):
        return True
    # Keras creates the sublayers of attention only when it is built.
    return (not layer.built and not children(layer) and not _is_plain(layer)) or any(
        _may_have_kernels(child) for child in children(layer)
    )


def _is_plain(layer: keras.Layer) -> bool:
    """Return whether a layer belongs to Keras and creates no sublayers when it is built."""
    attention = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)
    return type(layer).__module__.startswith("keras.") and not isinstance(layer, attention)


def _is_whole(layer: keras.Layer) -> bool:
    """Return whether a layer is built, and so are all of its sublayers that may have kernels."""
    below = (child for child in children(layer) if child.built or _may_have_kernels(child))
    return layer.built and all(_is_whole(child) for child in below)


def _symbolic(arguments: Any) -> Any:
    """Return the arguments with a `KerasTensor` in place of each tensor."""

    def replace(value):
        if not ops.is_tensor(value) and not hasattr(value, "__array__"):
            return value
        return keras.KerasTensor(value.shape, keras.backend.standardize_dtype(value.dtype))

    return tree.map_structure(replace, arguments)


def _without_kernels(layer: keras.Layer) -> LotteryError:
    known = ", ".join(known if isinstance(known, str) else known.__name__ for known in KERNELS)
    return LotteryError(
        f"Expected a layer with prunable kernels ({known}, or one with a method {DECLARES}). "
        f"Received: {type(layer).__name__} {getattr(layer, 'name', '')!r}"
    )
