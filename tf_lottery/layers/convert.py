"""Makes plain Keras models prunable, and prunable models plain again."""

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
    """Return a model whose kernels have masks. Its outputs are the same, bit for bit, until it is pruned.

    A Sequential or Functional model is copied, with its layers wrapped in `PrunableLayer`s; the given
    model is unchanged. The copy gets all weights, whatever layers have adapted to, what is frozen,
    and how the model was compiled, including the optimizer's state. The copy is then compared with
    the model: on the same inputs its outputs must be the same, and nothing in it may refer to the model's
    own weights. Models that Keras can't copy (subclassed models), and models whose copy isn't the same
    (because an operation reads another layer's kernel, or a layer draws a constant when it is created), are
    made prunable in place, and returned.

    Prunable kernels are those of Dense, EinsumDense, all convolutions, recurrent cells, and
    layers made of them (attention, Bidirectional, TimeDistributed, your own blocks), unless they
    are frozen. Your own layers declare the kernels that they create themselves, in a method
    `get_prunable_weights()` or in `kernels`. `prunable_table` shows what was made prunable, what wasn't,
    and why.

    Args:
        model: Any built Keras 3 model.
        include: Layers to prune: classes, name patterns (`"block1*"`) or predicates
            `layer -> bool`. Layers inside a chosen layer are chosen, too. Default: all layers.
        exclude: Layers to leave out; this takes precedence over `include`.
        kernels: Further layers and their kernels, such as `{MyLayer: "matrix"}` or
            `{keras.layers.Embedding: "embeddings"}`; the keys are classes or names of classes.
        frozen: Whether kernels of frozen layers are prunable, too.

    Raises:
        LotteryError: If the model isn't a built Keras 3 model on the TensorFlow backend, is already
            prunable, has no layer that can be pruned, or has a layer with LoRA or quantization, or if a
            rule matches no layer.

    Examples:
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
    """Make a model prunable like `make_prunable`.

    Args:
        model: A built plain model.
        choice: Which kernels to make prunable.
        inputs: Examples on which to compare the copy with the model. By default they are drawn.
        in_place: Reason not to copy the model, if there is one.
    """
    check_plain(model)
    chosen = choice.kernels_of(model)
    if not chosen and replace(choice, frozen=True).kernels_of(model):
        raise LotteryError(
            f"Expected a model with trainable kernels. Received: {model.name!r}, whose kernels are "
            "all frozen. Pass frozen=True to prune them anyway."
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
    """Make exactly the given kernels prunable, like `make_prunable_choice`.

    Args:
        model: A built plain model.
        chosen: Path -> kernel variable.
        inputs: As in `make_prunable_choice`.
        in_place: As in `make_prunable_choice`.
    """
    check_plain(model)
    ids = {id(variable) for variable in chosen.values()}
    with _scope(model):
        try:
            if in_place is not None:
                raise CannotCopy(in_place)
            copy = copy_model(model, lambda layer: _wrap(layer, ids), inputs)
            _check_masked(model, ids, copy)
            return compile_like(model, copy)
        except CannotCopy as error:
            return make_prunable_in_place(model, chosen, str(error))


def strip(model: keras.Model) -> keras.Model:
    """Return the plain Keras model, without `PrunableLayer`s and masks; pruned weights stay 0.0.

    Its outputs are the same, bit for bit, and it can be saved and loaded without
    tf_lottery (except `vit`, which contains layers of tf_lottery). A model that was made prunable
    in place is stripped in place, and returned.

    Args:
        model: A prunable model, from `make_prunable`.

    Raises:
        LotteryError: If the model isn't prunable.

    Examples:
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
    """Strip a model like `strip`, always by copying it.

    Args:
        model: A prunable model that wasn't made prunable in place.
        inputs: Examples on which to compare the copy with the model. By default they are drawn.
    """
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
    """Return a model in which zero weights stay zero, for fine-tuning a model that was pruned anywhere.

    Args:
        model: A built plain model with zeros, from `strip`, another library or a file.
        **choice: `include`, `exclude`, `kernels` and `frozen`, as in `make_prunable`.

    Returns:
        A prunable model, as from `make_prunable`, whose masks keep the weights that aren't 0.0.

    Raises:
        LotteryError: For the same reasons as `make_prunable`.

    Examples:
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
        LotteryError: If it isn't a built plain Keras 3 model on TensorFlow.
    """
    check_kind(model)
    if not model.built and calls(model):
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, which is not built. "
            "Give it a keras.Input or call it once."
        )


def check_kind(model: keras.Model) -> None:
    """Check a model like `check_plain`, but allow it to be unbuilt."""
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
            "makes it plain again and keeps its weights."
        )


def _wrap(layer: keras.Layer, chosen: set[int]) -> keras.Layer:
    indices = [i for i, v in enumerate(getattr(layer, "weights", ())) if id(v) in chosen]
    if not indices:
        return copy_layer(layer)
    return PrunableLayer(copy_layer(layer), kernels=indices)


def _check_masked(model: keras.Model, chosen: set[int], copy: keras.Model) -> None:
    """Check that the copy has masks for exactly the chosen kernels."""
    expected = [id(variable) in chosen for variable in variables_without_masks(model)]
    masked = {id(kernel) for holder in holders(copy) for kernel, _ in holder.masked()}
    if expected != [id(variable) in masked for variable in variables_without_masks(copy)]:
        raise CannotCopy("the copy's masks would belong to other weights")


def _scope(model: keras.Model):
    """Return the scope of the strategy under which a model was created, unless one is already active."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or tf.distribute.has_strategy():
        return contextlib.nullcontext()
    return strategy.scope()
