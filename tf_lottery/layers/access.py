"""Reads, sets and counts the masks of a whole model, and prunes it."""

from collections.abc import Mapping
from numbers import Real

import keras
import numpy as np
from keras import ops

from tf_lottery.errors import LotteryError
from tf_lottery.layers.kernels import unfit
from tf_lottery.layers.paths import holders, named_variables, own_weights, walk
from tf_lottery.layers.units import check_units, unit_axes
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.criteria import CRITERIA, Evidence, of_weights
from tf_lottery.pruning.groups import check_fixed, groups
from tf_lottery.pruning.patterns import SINGLE
from tf_lottery.pruning.patterns import pattern as read_pattern
from tf_lottery.pruning.schedules import layer_rates as rates_of


def kernels(model: keras.Model) -> dict[str, tuple[keras.Variable, keras.Variable]]:
    """Return kernel path -> (kernel, its mask variable) of a prunable model.

    Raises:
        LotteryError: If the model isn't prunable, or a layer was quantized or given LoRA after it became
            prunable.
    """
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras model. Received: {type(model).__name__}")
    masks = {id(kernel): kernel_mask for holder in holders(model) for kernel, kernel_mask in holder.masked()}
    if not masks:
        raise LotteryError(
            f"Expected a model with prunable layers. Received: {model.name!r}, which has none. "
            "Pass it through tf_lottery.make_prunable first."
        )
    for path, layer, _ in walk(model):
        if unfit(layer) and any(id(variable) in masks for variable in own_weights(layer)):
            raise LotteryError(
                "Expected layers that use their kernels directly. Received: "
                f"{path!r}, {unfit(layer)}. "
                "Prune, count and strip the model before that."
            )
    return {
        path: (variable, masks[id(variable)])
        for path, variable in named_variables(model).items()
        if id(variable) in masks
    }


def get_masks(model: keras.Model) -> masks_.Masks:
    """Return the masks of a prunable model: kernel path -> boolean array, True where a weight remains.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="output")])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.2)
        >>> {path: int(kept.sum()) for path, kept in lottery.get_masks(model).items()}
        {'output/kernel': 16}
    """
    return {path: ops.convert_to_numpy(kernel_mask) for path, (_, kernel_mask) in kernels(model).items()}


def get_kernels(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the kernels of a prunable model: kernel path -> array."""
    return {path: ops.convert_to_numpy(kernel) for path, (kernel, _) in kernels(model).items()}


def set_masks(model: keras.Model, masks: Mapping[str, np.ndarray]) -> None:
    """Replace the masks of a prunable model.

    Pruned weights become exactly 0.0, and so do their slots in the model's optimizer (a
    stale moment would bring them back). Weights that the new masks keep start from their current
    value, which is 0.0 for those that were pruned.

    Args:
        model: A prunable model, from `make_prunable`.
        masks: Kernel path -> array of booleans (or zeros and ones) in the kernel's shape, for all
            kernels of the model and no others.

    Raises:
        LotteryError: If the paths, shapes or values don't fit the model.

    Examples:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="output")])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.set_masks(model, {"output/kernel": np.eye(2, dtype=bool)})
        >>> lottery.sparsity(model)
        0.5
    """
    by_path = kernels(model)
    if masks.keys() != by_path.keys():
        missing, foreign = sorted(by_path.keys() - masks.keys()), sorted(masks.keys() - by_path.keys())
        raise LotteryError(
            f"Expected a mask for each of {', '.join(by_path)}. "
            f"Received: missing {missing}, not in the model {foreign}"
        )
    checked = {path: _checked(path, mask, by_path[path][0].shape) for path, mask in masks.items()}
    for path, (_, kernel_mask) in by_path.items():
        kernel_mask.force(checked[path])
    if getattr(model, "optimizer", None) is not None:
        mask_slots(model.optimizer, model)


def mask_slots(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> None:
    """Set an optimizer's slots (moments, averages, accumulated gradients) of pruned weights to zero.

    This does nothing before the optimizer is built.
    """
    pairs = list(kernels(model).values())
    prefixes = [kernel.path.replace("/", "_") + "_" for kernel, _ in pairs]
    if len(set(prefixes)) != len(prefixes):
        raise LotteryError(f"Expected kernels with distinct paths. Received: {sorted(prefixes)}")
    for slot in optimizer.variables:
        for prefix, (kernel, kernel_mask) in zip(prefixes, pairs, strict=True):
            if slot.name.startswith(prefix) and tuple(slot.shape) == tuple(kernel.shape):
                value = ops.convert_to_tensor(slot)
                slot.assign(ops.where(kernel_mask, value, ops.zeros_like(value)))


def prune(
    model: keras.Model,
    rate: float = 0.2,
    criterion: str = "magnitude",
    scope: str = "layer",
    layer_rates: Mapping[str, float] | None = None,
    seed: int = 0,
    min_density: float = 0.0,
    pattern: str = "single",
) -> None:
    """Prune the remaining weights of a model that have the lowest scores, in place.

    Args:
        model: A prunable model, from `make_prunable`.
        rate: Fraction of the remaining weights to prune, in (0, 1): exactly round(rate x remaining), ties
            by index.
        criterion: A line of `CRITERIA` that looks at the present weights only: `magnitude` (Frankle & Carbin
            2018), `small_final` (Zhou et al. 2019) or `random`.
        scope: Where scores compete: `layer` or `global`.
        layer_rates: Layer name pattern -> rate, for example `{"output": 0.1}`.
        seed: Seed for the random criterion.
        min_density: Fraction of each layer's weights that is always kept. Without it, layers whose weights
            are small by initialization may collapse with scope `global`.
        pattern: What is pruned together: `single` weights; whole `units` of Dense layers and convolutions;
            blocks such as `block:4x4`, of inputs by outputs; or N of each M consecutive inputs that stay,
            such as `2:4`, which takes rate=0.5. Of units and blocks, `rate` and `min_density` are fractions
            of their number, and a group's score is the mean of its weights'. Their scope is `layer` or
            `global`.

    Raises:
        LotteryError: If the criterion, scope or pattern is unknown, a rate is out of range, a pattern
            matches no layer, or a layer would be left empty.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((10,)), keras.layers.Dense(10)])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.2)
        >>> lottery.prune(model, rate=0.2)
        >>> lottery.sparsity(model)
        0.36
    """
    for value in (rate, *(layer_rates or {}).values()):
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not 0 <= value < 1 or (value is rate and not rate):
            raise LotteryError(
                "Expected a pruning rate between 0 and 1, as a fraction (0 is allowed for a layer). "
                f"Received: {value!r}"
            )
    if not isinstance(min_density, Real) or not 0 <= min_density < 1:
        raise LotteryError(f"Expected min_density of at least 0 and less than 1. Received: {min_density!r}")
    kind = read_pattern(pattern)
    check_fixed(kind, rate, (layer_rates or {}).values(), scope, min_density, "")
    rates = rates_of(list(get_masks(model)), rate, layer_rates or {})
    if kind.kind != SINGLE:
        check_units(model, kind, rates, f"Pattern {pattern}")
    prune_at(model, rates, criterion, scope, seed, min_density, pattern)


def prune_at(
    model: keras.Model,
    rates: Mapping[str, float],
    criterion: str,
    scope: str,
    seed: int = 0,
    min_density: float = 0.0,
    pattern: str = SINGLE,
) -> None:
    """Prune like `prune`, with a rate for each kernel: path -> rate in [0, 1)."""
    if criterion not in of_weights():
        raise LotteryError(f"Expected a criterion from {', '.join(of_weights())}. Received: {criterion!r}")
    masks = get_masks(model)
    scores = CRITERIA[criterion](Evidence(get_kernels(model), masks=masks, seed=seed))
    shapes = {path: mask.shape for path, mask in masks.items()}
    grouped = groups(pattern, shapes, rates, {} if pattern == SINGLE else unit_axes(model))
    counts = grouped.kept(masks, scope)
    set_masks(model, grouped.prune(scores, masks, counts, min_density, criterion))


def sparsity(model: keras.Model, over: str = "prunable") -> float:
    """Return the fraction of weights that are pruned.

    Args:
        model: A prunable model, from `make_prunable`.
        over: What to count: `prunable` weights only, or `all` parameters, including biases and
            normalization.

    Raises:
        LotteryError: If `over` is neither of these, or the model has no prunable layers.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
        >>> model = lottery.make_prunable(plain)
        >>> lottery.prune(model, rate=0.5)
        >>> lottery.sparsity(model), lottery.sparsity(model, over="all")
        (0.5, 0.4)
    """
    if over not in ("prunable", "all"):
        raise LotteryError(f"Expected over='prunable' or over='all'. Received: {over!r}")
    masks = get_masks(model)
    pruned = masks_.size(masks) - masks_.remaining(masks)
    return pruned / (masks_.size(masks) if over == "prunable" else parameters(model))


def parameters(model: keras.Model) -> int:
    """Return the number of parameters that are trainable or prunable, including pruned ones."""
    counted = [*model.trainable_variables, *(kernel for kernel, _ in kernels(model).values())]
    return sum(int(np.prod(v.shape)) for v in {id(v): v for v in counted}.values())


def _checked(path: str, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise LotteryError(f"Expected a mask of shape {tuple(shape)} for {path}. Received: {mask.shape}")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise LotteryError(f"Expected booleans, or zeros and ones, for {path}. Received: {mask.dtype} values")
    return mask.astype(bool)
