"""Plain Keras model -> prunable model, and back."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import kernels, set_masks
from tf_lottery.layers.compiled import compile_like
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model
from tf_lottery.layers.in_place import calls, held_in_place, make_prunable_in_place, strip_in_place
from tf_lottery.layers.kernels import DECLARES, KERNELS, PrunableChoice, Rule
from tf_lottery.layers.paths import holders, variables_without_masks, walk
from tf_lottery.layers.prunable import PrunableLayer
from tf_lottery.layers.table import UNDECLARED, rows


def make_prunable(
    model: keras.Model,
    include: Rule | Sequence[Rule] | None = None,
    exclude: Rule | Sequence[Rule] | None = None,
    kernels: Mapping[type | str, str | Sequence[str]] | None = None,
    frozen: bool = False,
) -> keras.Model:
    """Return a model whose kernels have masks. It computes the same, to the last bit, until it is pruned.

    A Sequential or Functional model is copied, its layers wrapped in `PrunableLayer`s; the model
    that was given stays as it is. All weights are carried over, whatever layers have adapted to, what is
    frozen, and how the model was compiled, the optimizer's state included. The copy is then held against
    the model: on the same inputs it answers the same, and nothing in it refers to the model's own weights.
    What Keras can't copy (subclassed models), and what isn't the same once it is copied (an operation
    that reads another layer's kernel, a constant drawn when a layer is made), is made prunable in
    place, and returned.

    Prunable are the kernels of Dense, EinsumDense, all convolutions, recurrent cells, and
    of what is made of them (attention, Bidirectional, TimeDistributed, your own blocks), unless they
    are frozen. Your own layers with weights of their own declare them, in a method
    `get_prunable_weights()` or in `kernels`. `prunable_table` tells what was made prunable, what not,
    and why.

    Args:
        model: any built Keras 3 model.
        include: layers to prune: classes, name patterns (`"block1*"`) or predicates
            `layer -> bool`; a layer within a chosen one is chosen too. Default: all.
        exclude: layers to leave out; wins over `include`.
        kernels: further layers and their kernels: `{MyLayer: "matrix"}`,
            `{keras.layers.Embedding: "embeddings"}`; classes, or their names.
        frozen: whether kernels of frozen layers are prunable, too.

    Raises:
        LotteryError: not a Keras 3 model on the TensorFlow backend, not built, already prunable,
            without a layer that can be pruned, with LoRA or quantized, or with a rule that concerns no
            layer.

    Example:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(2)])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.5)
        >>> lottery.sparsity(model)
        0.5
    """
    return make_prunable_choice(model, PrunableChoice.of(include, exclude, kernels, frozen))


def make_prunable_choice(
    model: keras.Model, choice: PrunableChoice, inputs: Any = None, in_place: str | None = None
) -> keras.Model:
    """As `make_prunable`.

    Args:
        model, choice: of it.
        inputs: examples to hold a copy against the model on. Default: drawn.
        in_place: a reason not to copy the model.
    """
    check_plain(model)
    chosen = choice.kernels_of(model)
    if not chosen and replace(choice, frozen=True).kernels_of(model):
        raise LotteryError(
            f"Expected a model with kernels that are trained. Received: {model.name!r}, whose kernels are "
            "all frozen. frozen=True prunes them nevertheless."
        )
    if not chosen:
        known = ", ".join(known if isinstance(known, str) else known.__name__ for known in KERNELS)
        kinds = sorted({type(layer).__name__ for path, layer, _ in walk(model) if path})
        raise LotteryError(
            f"Expected a model with layers that can be pruned ({known}; your own with {DECLARES} or "
            f"kernels=). Received: {', '.join(kinds)}"
        )
    prunable = make_prunable_kernels(model, chosen, inputs, in_place)
    if undeclared := [row.path for row in rows(prunable) if row.why == UNDECLARED]:
        warnings.warn(
            f"These weights of layers of your own stay dense: {', '.join(undeclared)}. "
            f"Declare kernels with a method {DECLARES}, or kernels=.",
            stacklevel=3,
        )
    return prunable


def make_prunable_kernels(
    model: keras.Model,
    chosen: Mapping[str, keras.Variable],
    inputs: Any = None,
    in_place: str | None = None,
) -> keras.Model:
    """As `make_prunable_choice`, of exactly these kernels: path -> variable."""
    check_plain(model)
    ids = {id(variable) for variable in chosen.values()}
    with _scope(model):
        try:
            if in_place is not None:
                raise CannotCopy(in_place)
            copy = copy_model(model, lambda layer: _wrap(layer, ids), inputs)
            _check_meant(model, ids, copy)
            return compile_like(model, copy)
        except CannotCopy as error:
            return make_prunable_in_place(model, chosen, str(error))


def strip(model: keras.Model) -> keras.Model:
    """Return the plain Keras model, zeros baked in: no `PrunableLayer`, no masks.

    It computes the same, to the last bit, and can be saved and loaded without
    tf_lottery installed (but for `vit`, which has layers of ours). A model that was made prunable
    in place is stripped in place, and returned.

    Args:
        model: from `make_prunable`.

    Raises:
        LotteryError: if the model isn't prunable.

    Example:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.5)
        >>> type(lottery.strip(model).layers[0]).__name__
        'Dense'
    """
    kernels(model)
    if held_in_place(model):
        return strip_in_place(model)
    return strip_copy(model)


def strip_copy(model: keras.Model, inputs: Any = None) -> keras.Model:
    """As `strip`, of a model that was copied. Args: inputs: as of `make_prunable_choice`."""
    try:
        copy = copy_model(
            model,
            lambda layer: copy_layer(layer.layer if isinstance(layer, PrunableLayer) else layer),
            inputs,
        )
        return compile_like(model, copy)
    except CannotCopy as error:
        raise LotteryError(
            f"Expected a model that can be copied. Received: {model.name!r} ({error})"
        ) from error


def freeze_zeros(model: keras.Model, **choice: Any) -> keras.Model:
    """Return a model in which weights that are zero stay so: for fine-tuning what was pruned anywhere.

    Args:
        model: a built plain model that has zeros, as `strip`, another library or a file gave it.
        **choice: `include`, `exclude`, `kernels` and `frozen`, as of `make_prunable`.

    Returns:
        The prunable model, as of `make_prunable`, its masks the weights that aren't 0.0.

    Raises:
        LotteryError: as `make_prunable`.

    Example:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False)])
        >>> plain.set_weights([np.array([[0.5], [0.0], [0.0], [2.0]])])
        >>> lottery.sparsity(lottery.freeze_zeros(plain))
        0.5
    """
    prunable = make_prunable(model, **choice)
    set_masks(
        prunable,
        {path: keras.ops.convert_to_numpy(kernel) != 0 for path, (kernel, _) in kernels(prunable).items()},
    )
    return prunable


def check_plain(model: keras.Model) -> None:
    """Check that a model can be made prunable.

    Raises:
        LotteryError: if it isn't a built plain Keras 3 model on TensorFlow.
    """
    check_kind(model)
    if not model.built and calls(model):
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, not built. "
            "Give it a keras.Input or call it once."
        )


def check_kind(model: keras.Model) -> None:
    """As `check_plain`, of a model that may be built later."""
    if not isinstance(model, keras.Model):
        raise LotteryError(
            f"Expected a Keras 3 model. Received: {type(model).__module__}.{type(model).__name__}"
        )
    if keras.backend.backend() != "tensorflow":
        raise LotteryError(
            f"Expected Keras on TensorFlow (KERAS_BACKEND=tensorflow). Received: {keras.backend.backend()}"
        )
    if next(holders(model), None) is not None:
        raise LotteryError(
            f"Expected a plain Keras model. Received: {model.name!r}, already prunable. lottery.strip(model) "
            "makes it plain again; its weights stay as they are."
        )


def _wrap(layer: keras.Layer, chosen: set[int]) -> keras.Layer:
    indices = [i for i, v in enumerate(getattr(layer, "weights", ())) if id(v) in chosen]
    if not indices:
        return copy_layer(layer)
    return PrunableLayer(copy_layer(layer), kernels=indices)


def _check_meant(model: keras.Model, chosen: set[int], copy: keras.Model) -> None:
    """Check that the copy has masks for exactly the kernels that are meant."""
    meant = [id(variable) in chosen for variable in variables_without_masks(model)]
    masked = {id(kernel) for holder in holders(copy) for kernel, _ in holder.masked()}
    if meant != [id(variable) in masked for variable in variables_without_masks(copy)]:
        raise CannotCopy("the copy's masks would be of other weights")


def _scope(model: keras.Model):
    """The scope of the strategy that a model was made under, unless we are in one."""
    strategy = getattr(model, "distribute_strategy", None)
    outside = strategy is None or tf.distribute.has_strategy()
    return contextlib.nullcontext() if outside else strategy.scope()
