"""How much a model has to store and to compute, in full and with the weights that pruning has left."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tf_lottery.layers.convert import check_plain
from tf_lottery.layers.flops import layer_calls
from tf_lottery.layers.kernels import PrunableChoice
from tf_lottery.layers.paths import named_variables


@dataclass(frozen=True)
class Cost:
    """The weights and FLOPs of a model.

    Attributes:
        weights: The number of weights in all kernels, as `make_prunable` finds them.
        surviving_weights: The number of these weights that aren't 0.0.
        flops: The FLOPs for one example: a multiplication and an addition for each use of a weight, in Dense
            and EinsumDense layers and convolutions. Padding counts as if it were input.
        surviving_flops: The part of these FLOPs that uses weights that aren't 0.0.
        parameters: The number of all weights of the model, including biases and normalization.
        uncounted: The layers with kernels whose FLOPs aren't counted: recurrent and attention layers, custom
            layers, and layers with inputs of any size.
        nonzero: The number of all weights of the model that aren't 0.0.
        unknown: The matrices that hold zeros and aren't known as kernels. They may have been declared as
            kernels to `make_prunable`, which a plain model doesn't remember.
    """

    weights: int
    surviving_weights: int
    flops: int
    surviving_flops: int
    parameters: int
    uncounted: tuple[str, ...]
    nonzero: int
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return how much is left of the model, in words, and what isn't counted."""
        share = _percent(self.surviving_weights, self.weights)
        text = f"{self.surviving_weights:,} of {self.weights:,} prunable weights ({share})"
        text = text if self.weights else "no weights that are known as prunable"
        text += f", {self.nonzero:,} of all {self.parameters:,} ({_percent(self.nonzero, self.parameters)})"
        if self.unknown:
            text += f" (zeros of {_few(self.unknown)} counted in the latter only)"
        text += f", {self.surviving_flops:,} of {self.flops:,} FLOPs an example"
        return text + (f" (without those of {_few(self.uncounted)})" if self.uncounted else "")


def cost(model: keras.Model) -> Cost:
    """Return the weights and FLOPs of a plain model.

    Args:
        model: A built plain model.

    Raises:
        LotteryError: If the model isn't built, or isn't plain.

    Examples:
        >>> import keras
        >>> from tf_lottery.exports.cost import cost
        >>> cost(keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])).flops
        40
    """
    check_plain(model)
    kernels = {
        id(kernel): _sizes(kernel) for kernel in PrunableChoice(frozen=True).kernels_of(model).values()
    }
    flops, uncounted = np.zeros(2, np.int64), dict[str, None]()
    for path, layer, positions in layer_calls(model):
        used = [kernels[id(variable)] for variable in layer.weights if id(variable) in kernels]
        if not used:
            continue
        if positions is None:
            uncounted[path] = None
        else:
            flops += 2 * positions * np.sum(used, axis=0)
    weights = np.sum([np.zeros(2, np.int64), *kernels.values()], axis=0)
    sizes = {id(v): _sizes(v) for v in model.weights}
    parameters, nonzero = np.sum([np.zeros(2, np.int64), *sizes.values()], axis=0)
    return Cost(
        weights=int(weights[0]),
        surviving_weights=int(weights[1]),
        flops=int(flops[0]),
        surviving_flops=int(flops[1]),
        parameters=int(parameters),
        uncounted=tuple(uncounted),
        nonzero=int(nonzero),
        unknown=tuple(unknown_kernels(model)),
    )


def unknown_kernels(model: keras.Model) -> dict[str, keras.Variable]:
    """Return path -> variable of the trained matrices that hold zeros and aren't known as kernels."""
    known = {id(kernel) for kernel in PrunableChoice(frozen=True).kernels_of(model).values()}
    trained = {id(variable) for variable in model.trainable_variables} - known
    return {
        path: variable
        for path, variable in named_variables(model).items()
        if id(variable) in trained and len(variable.shape) > 1 and np.diff(_sizes(variable))[0]
    }


def _percent(part: int, whole: int) -> str:
    return f"{part / max(1, whole):.1%}"


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _sizes(kernel: keras.Variable) -> np.ndarray:
    """Return the number of weights, and of those that aren't 0.0."""
    return np.array([math.prod(kernel.shape), np.count_nonzero(ops.convert_to_numpy(kernel))], np.int64)
