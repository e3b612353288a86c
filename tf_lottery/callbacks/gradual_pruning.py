"""`GradualPruning`: gradual magnitude pruning within one `fit`."""

import keras

from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, prune_at
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.tfmot import load_tfmot


class GradualPruning(keras.callbacks.Callback):
    """Prunes a model to more and more sparsity while it trains (Zhu & Gupta 2017).

    The schedule is tensorflow-model-optimization's `PolynomialDecay`. Counts are exact, and a weight
    that is pruned stays so.

    Args:
        final_sparsity: fraction of the kernels' weights that is pruned at the end, in (0, 1).
        end_step: the training step at which it is reached.
        begin_step: the first step at which weights are pruned.
        frequency: steps from one pruning to the next.
        initial_sparsity: at `begin_step`.
        power: of the polynomial: sparsity rises fast first, then slower.
        criterion: as of `prune`.
        scope: as of `prune`.
        exclude: kernel paths that stay as they are.

    Raises:
        LotteryError: numbers that make no schedule.

    Example:
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
        if not 0 <= initial_sparsity <= final_sparsity < 1 or not final_sparsity:
            raise LotteryError(
                "Expected sparsities with 0 <= initial_sparsity <= final_sparsity < 1. "
                f"Received: {initial_sparsity!r} and {final_sparsity!r}"
            )
        if not 0 <= begin_step < end_step or frequency < 1:
            raise LotteryError(
                "Expected 0 <= begin_step < end_step, and a frequency of 1 or more. "
                f"Received: {begin_step!r}, {end_step!r} and {frequency!r}"
            )
        if criterion not in CRITERIA or scope not in ("layer", "global"):
            raise LotteryError(
                f"Expected a criterion of {', '.join(CRITERIA)} and scope 'layer' or 'global'. "
                f"Received: {criterion!r} and {scope!r}"
            )
        decay = load_tfmot().sparsity.keras.PolynomialDecay
        self._schedule = decay(initial_sparsity, final_sparsity, begin_step, end_step, power, frequency)
        self._end = end_step
        self._final, self._criterion, self._scope, self._exclude = final_sparsity, criterion, scope, exclude

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin with step 0."""
        get_masks(self.model)  # a plain model is refused before it is trained
        self._step = self._begun = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Count steps from here."""
        self._begun = self._step

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Prune, if the schedule asks for it at one of the steps that were taken."""
        before, self._step = self._step, self._begun + batch + 1
        for step in range(before + 1, self._step + 1):
            due, sparsity = self._schedule(step)
            if bool(due) or step == self._end:
                self._prune(self._final if step >= self._end else float(sparsity))

    def _prune(self, sparsity: float) -> None:
        rates = {}
        masks = {path: mask for path, mask in get_masks(self.model).items() if path not in self._exclude}
        groups = [[path] for path in masks] if self._scope == "layer" else [list(masks)]
        for paths in groups:
            left = sum(int(masks[path].sum()) for path in paths)
            wanted = sum(masks[path].size for path in paths) - round(
                sparsity * sum(masks[path].size for path in paths)
            )
            rates |= dict.fromkeys(paths, max(0.0, (left - wanted) / left))
        zeros = dict.fromkeys(get_masks(self.model), 0.0)
        prune_at(self.model, zeros | rates, self._criterion, self._scope)
