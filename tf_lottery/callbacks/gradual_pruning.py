"""`GradualPruning`: gradual magnitude pruning within one `fit`."""

from numbers import Integral, Real

import keras
import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, prune_at
from tf_lottery.pruning.criteria import of_weights
from tf_lottery.tfmot import load_tfmot


class GradualPruning(keras.callbacks.Callback):
    """Prunes a model to increasing sparsity while it trains (Zhu & Gupta 2017).

    The schedule is tensorflow-model-optimization's `PolynomialDecay`. Counts are exact, and a pruned
    weight stays pruned.

    Args:
        final_sparsity: Fraction of the kernels' weights that are pruned at the end, in (0, 1).
        end_step: Training step at which the final sparsity is reached.
        begin_step: First step at which weights are pruned.
        frequency: Number of steps from one pruning to the next.
        initial_sparsity: Sparsity at `begin_step`.
        power: Exponent of the polynomial: sparsity rises fast at first, then more slowly.
        criterion: Which weights are pruned first, as in `prune`.
        scope: Where scores compete, as in `prune`.
        exclude: Paths of kernels that are not pruned.

    Raises:
        LotteryError: If the numbers don't make a schedule, or the criterion or scope is unknown.

    Examples:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((10,)), keras.layers.Dense(10)])
        >>> model = lottery.make_prunable(plain)
        >>> model.compile("adam", "mse")
        >>> pruning = lottery.callbacks.GradualPruning(final_sparsity=0.9, end_step=8, frequency=2)
        >>> x, y = np.ones((20, 10)), np.ones((20, 10))
        >>> _ = model.fit(x, y, batch_size=2, callbacks=[pruning], verbose=0)
        >>> lottery.sparsity(model)
        0.9
    """

    def __init__(
        self,
        final_sparsity: float,
        end_step: int,
        begin_step: int = 0,
        frequency: int = 100,
        initial_sparsity: float = 0.0,
        power: float = 3,
        criterion: str = "magnitude",
        scope: str = "layer",
        exclude: tuple[str, ...] = (),
    ):
        super().__init__()
        _check(initial_sparsity, final_sparsity, begin_step, end_step, frequency)
        _check_choice(criterion, scope)
        decay = load_tfmot().sparsity.keras.PolynomialDecay
        self._schedule = decay(initial_sparsity, final_sparsity, begin_step, end_step, power, frequency)
        self._end = end_step
        self._final, self._how = final_sparsity, (criterion, scope, tuple(exclude))

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start counting at step 0."""
        masks = get_masks(self.model)  # refuses a plain model before any training
        if foreign := [path for path in self._how[2] if path not in masks]:
            raise LotteryError(
                f"Expected exclude to name kernels of the model ({', '.join(masks)}). "
                f"Received: {foreign[0]!r}"
            )
        self._step = self._begun = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the step at which the epoch begins."""
        self._begun = self._step

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Prune if the schedule is due at one of the steps just taken."""
        before, self._step = self._step, self._begun + batch + 1
        for step in range(before + 1, self._step + 1):
            due, sparsity = self._schedule(step)
            if bool(due) or step == self._end:
                _prune(self.model, self._final if step >= self._end else float(sparsity), *self._how)


def _check(initial: float, final: float, begin: int, end: int, frequency: int) -> None:
    """Check that the numbers make a schedule."""
    if (
        not all(isinstance(value, Real) for value in (initial, final))
        or not 0 <= initial <= final < 1
        or not final
    ):
        raise LotteryError(
            "Expected sparsities with 0 <= initial_sparsity <= final_sparsity < 1, the last above 0. "
            f"Received: {initial!r} and {final!r}"
        )
    integers = all(isinstance(value, Integral) for value in (begin, end, frequency))
    if not integers or not 0 <= begin < end or frequency < 1:
        raise LotteryError(
            "Expected whole numbers with 0 <= begin_step < end_step, and a frequency of 1 or more. "
            f"Received: {begin!r}, {end!r} and {frequency!r}"
        )


def _check_choice(criterion: str, scope: str) -> None:
    if criterion not in of_weights() or scope not in ("layer", "global"):
        raise LotteryError(
            f"Expected a criterion from {', '.join(of_weights())} and scope 'layer' or 'global'. "
            f"Received: {criterion!r} and {scope!r}"
        )


def _prune(model: keras.Model, sparsity: float, criterion: str, scope: str, exclude: tuple[str, ...]) -> None:
    """Prune to a sparsity, counted over each kernel (`layer`) or over all that compete (`global`)."""
    masks = get_masks(model)
    competing = [path for path in masks if path not in exclude]
    rates = dict.fromkeys(masks, 0.0)
    for paths in [[path] for path in competing] if scope == "layer" else [competing]:
        left, size = (sum(int(count(masks[path])) for path in paths) for count in (np.count_nonzero, np.size))
        wanted = size - round(sparsity * size)
        rates |= dict.fromkeys(paths, max(0.0, (left - wanted) / max(left, 1)))
    prune_at(model, rates, criterion, scope)
