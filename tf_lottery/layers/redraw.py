"""What a random reinitialization draws anew, and what it keeps: decided here for all that have controls."""

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
"""Probability with which weights that were drawn are taken for others."""


@dataclass(frozen=True)
class Redrawn:
    """A random reinitialization.

    Attributes:
        weights: name -> array; what was drawn is new, the rest as it was.
        kept: names of the weights that were never drawn: of frozen layers, and those that come out the same
            however the network is built (a function that loads them).
        correlation: of the first drawn kernel with its original.
    """

    weights: Arrays
    kept: tuple[str, ...]
    correlation: float


def redraw(
    model: keras.Model, kernels: Collection[str], original: Arrays, fresh: Arrays, prefix: str = ""
) -> Redrawn:
    """Return a random reinitialization of a network.

    What isn't trained is kept, but for the statistics of normalization, which a training makes. Asserts
    that the draw is one: every drawn kernel differs from its original, and the first doesn't correlate
    with it. Kernels that begin constant (zeros, say) draw nothing and are left out.

    Args:
        model: the network; its layers tell what is frozen.
        kernels: paths of the prunable kernels, the first layer's first.
        original: theta_0, or another draw where that isn't known: name -> array.
        fresh: the network built anew, from another seed.
        prefix: of names, before the paths.

    Raises:
        LotteryError: if the network draws the same weights again.
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
                "Its initializer has a seed of its own, or the builder returns the same model again: "
                "leave the seed out, build a new model each time."
            )
    for name in () if varying else drawn:
        raise LotteryError(
            "Expected new weights from a random reinitialization. Received: kernels that begin constant, "
            f"{name} the first: nothing is drawn. Do without this control."
        )
    if not drawn:
        raise LotteryError(
            "Expected kernels that a random reinitialization draws anew. Received: frozen ones only. "
            "Do without this control."
        )
    correlation = _correlation(varying[0], original, fresh)
    weights = dict(fresh) | {name: original[name] for name in kept}
    return Redrawn(weights, (*kept, *given), correlation)


def frozen(model: keras.Model) -> list[str]:
    """Return the paths of what isn't trained in a model, statistics of normalization and seeds aside."""
    paths = {id(variable): path for path, variable in named_variables(model).items()}
    trained = {id(variable) for variable in model.trainable_variables}
    found = []
    for _, layer, above in walk(model):
        statistics = isinstance(layer, keras.layers.BatchNormalization) and all(
            each.trainable for each in (layer, *(outer for _, outer in above))
        )
        if not statistics:
            own = [v for v in own_weights(layer) if id(v) not in trained]
            found += [paths[id(v)] for v in own if id(v) in paths]
    return found


def given(original: Arrays, draws: tuple[Arrays, Arrays], names: Collection[str]) -> list[str]:
    """Return which weights can't have been drawn: they were given, or trained, after the model was built.

    What two draws have in common (zeros of biases, ones) the original must have as well. What they draw is
    compared by distribution (Kolmogorov and Smirnov's two-sample test, at a chance of 1e-9 a variable):
    weights of a hundred values or more that were trained for long are told; a few values, or a kernel that
    hardly moved and has no bias, aren't.

    Args:
        original: name -> array.
        draws: two of them, from other seeds.
        names: of what is trained.
    """
    found = []
    for name in names:
        value, first, second = original[name], draws[0][name], draws[1][name]
        if np.array_equal(first, second):
            if not np.array_equal(value, first):
                found.append(name)
        elif not _from_the_same(value.ravel(), np.concatenate([first.ravel(), second.ravel()])):
            found.append(name)
    return found


def _from_the_same(first: np.ndarray, second: np.ndarray) -> bool:
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
    """Below 0.02, or five standard deviations of chance where the layer is small."""
    correlation = float(np.corrcoef(original[name].ravel(), fresh[name].ravel())[0, 1])
    limit = max(0.02, 5 / np.sqrt(original[name].size))
    if not abs(correlation) < limit:
        raise LotteryError(
            f"Expected a reinitialization that doesn't correlate with the original (|r| < {limit:.3f} in "
            f"{name}). Received: r = {correlation:.3f}"
        )
    return correlation


def _seeded(model: keras.Model, path: str) -> bool:
    """Whether a weight that is the same each time is drawn by its initializer, from a seed of its own.

    Where the initializer isn't known it is taken to be.
    """
    variable = named_variables(model)[path]
    layer = next(each for _, each, _ in walk(model) if any(v is variable for v in own_weights(each)))
    initializer = _initializer(layer, variable.name)
    if not type(initializer).__module__.startswith("keras."):
        return True
    return initializer.get_config().get("seed") is not None


def _initializer(layer: keras.Layer, name: str) -> Any:
    """What draws a weight: `kernel_initializer`, `recurrent_initializer` of `recurrent_kernel`, and so on."""
    names = [f"{name}_initializer", f"{name.removesuffix('_kernel')}_initializer", "depthwise_initializer"]
    return next((found for each in names if (found := getattr(layer, each, None)) is not None), None)
