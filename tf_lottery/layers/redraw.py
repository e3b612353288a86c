"""Decides what a random reinitialization draws again and what it keeps, wherever it is used as a control."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables, own_weights, walk

_SAMPLE = 20_000
_CHANCE = 1e-9
"""Probability with which drawn weights are mistaken for weights that weren't drawn."""


@dataclass(frozen=True)
class Redrawn:
    """The result of a random reinitialization.

    Attributes:
        weights: Name -> array. Drawn weights are new, the others unchanged.
        kept: Names of the weights that were never drawn: those of frozen layers, and those that are the same
            whenever the network is built (because a function loads them).
        correlation: Correlation of the first drawn kernel with its original.
    """

    weights: Arrays
    kept: tuple[str, ...]
    correlation: float


def redraw(
    model: keras.Model, kernels: Collection[str], original: Arrays, fresh: Arrays, prefix: str = ""
) -> Redrawn:
    """Return a random reinitialization of a network.

    Weights that aren't trained are kept, except for the statistics of normalization, which training
    produces. This checks that the weights were really drawn: every drawn kernel differs from its original,
    and the first one doesn't correlate with it. Kernels that are constant at first (such as zeros) aren't
    drawn, and are left out of the check.

    Args:
        model: The network, whose layers determine what is frozen.
        kernels: Paths of the prunable kernels, from the first layer on.
        original: Name -> array of theta_0, or of another draw if theta_0 isn't known.
        fresh: Name -> array of the network built again from another seed.
        prefix: Prefix that turns paths into names.

    Raises:
        LotteryError: If the network draws the same weights again, or draws none.
    """
    kept = [prefix + path for path in frozen(model) if prefix + path in original]
    given = [prefix + path for path in kernels if prefix + path not in kept]
    given = [n for n in given if np.ptp(original[n]) > 0 and np.array_equal(original[n], fresh[n])]
    drawn = [n for n in (prefix + path for path in kernels) if n not in kept and n not in given]
    varying = [name for name in drawn if np.ptp(original[name]) > 0]
    for name in given:
        if not varying or _seeded(model, name.removeprefix(prefix)):
            raise LotteryError(
                f"Expected new weights from a random reinitialization. Received: the same in {name}. "
                "Its initializer has a seed of its own, or the builder returns the same model again. "
                "Leave the seed out, and build a new model each time."
            )
    for name in () if varying else drawn:
        raise LotteryError(
            "A random reinitialization would draw no new weights: the kernels are constant at first "
            f"({name} is one of them). Leave out this control."
        )
    if not drawn:
        raise LotteryError(
            "A random reinitialization would draw no new weights: the kernels are all frozen. "
            "Leave out this control."
        )
    correlation = _correlation(varying[0], original, fresh)
    weights = dict(fresh) | {name: original[name] for name in kept}
    return Redrawn(weights, (*kept, *given), correlation)


def frozen(model: keras.Model) -> list[str]:
    """Return the paths of the weights that aren't trained, except statistics of normalization and seeds."""
    paths = {id(variable): path for path, variable in named_variables(model).items()}
    trained = {id(variable) for variable in model.trainable_variables}
    untrained = []
    for _, layer, above in walk(model):
        statistics = isinstance(layer, keras.layers.BatchNormalization) and all(
            each.trainable for each in (layer, *(outer for _, outer in above))
        )
        if not statistics:
            own = [v for v in own_weights(layer) if id(v) not in trained]
            untrained += [paths[id(v)] for v in own if id(v) in paths]
    return untrained


def given(original: Arrays, draws: tuple[Arrays, Arrays], names: Collection[str]) -> list[str]:
    """Return which weights can't have been drawn, but were given or trained after the model was built.

    Whatever two draws have in common (such as biases of zeros) must be the same in the original. The rest
    is compared by distribution (the two-sample Kolmogorov-Smirnov test, with an error probability of 1e-9 per
    variable). This detects weights of a hundred values or more that were trained for long, but neither
    a few values nor a kernel that hardly moved and has no bias.

    Args:
        original: Name -> array of the weights to judge.
        draws: Two draws from other seeds, each as name -> array.
        names: Names of the trainable weights.
    """
    not_drawn = []
    for name in names:
        value, first, second = original[name], draws[0][name], draws[1][name]
        if np.array_equal(first, second):
            if not np.array_equal(value, first):
                not_drawn.append(name)
        elif not _same_distribution(value.ravel(), np.concatenate([first.ravel(), second.ravel()])):
            not_drawn.append(name)
    return not_drawn


def _same_distribution(first: np.ndarray, second: np.ndarray) -> bool:
    generator = np.random.default_rng(0)
    first, second = (
        np.sort(generator.choice(each, _SAMPLE, replace=False) if each.size > _SAMPLE else each)
        for each in (first, second)
    )
    both = np.concatenate([first, second])
    shares = [np.searchsorted(each, both, side="right") / each.size for each in (first, second)]
    farthest = np.max(np.abs(shares[0] - shares[1]))
    scale = np.sqrt((first.size + second.size) / (first.size * second.size))
    return bool(farthest <= np.sqrt(-np.log(_CHANCE / 2) / 2) * scale)


def _correlation(name: str, original: Arrays, fresh: Arrays) -> float:
    """Return the correlation; it must be below 0.02, or below five deviations of chance in small layers."""
    correlation = float(np.corrcoef(original[name].ravel(), fresh[name].ravel())[0, 1])
    limit = max(0.02, 5 / np.sqrt(original[name].size))
    if not abs(correlation) < limit:
        raise LotteryError(
            f"Expected a reinitialization that doesn't correlate with the original (|r| < {limit:.3f} in "
            f"{name}). Received: r = {correlation:.3f}"
        )
    return correlation


def _seeded(model: keras.Model, path: str) -> bool:
    """Return whether a weight that is the same each time is drawn by an initializer with its own seed.

    An initializer that isn't known, or isn't one of Keras, is assumed to have one.
    """
    variable = named_variables(model)[path]
    layer = next(each for _, each, _ in walk(model) if any(v is variable for v in own_weights(each)))
    initializer = _initializer(layer, variable.name)
    if not type(initializer).__module__.startswith("keras."):
        return True
    return initializer.get_config().get("seed") is not None


def _initializer(layer: keras.Layer, name: str) -> Any:
    """Return a weight's initializer, such as `recurrent_initializer` for `recurrent_kernel`."""
    names = [f"{name}_initializer", f"{name.removesuffix('_kernel')}_initializer", "depthwise_initializer"]
    initializers = (getattr(layer, each, None) for each in names)
    return next((each for each in initializers if each is not None), None)
