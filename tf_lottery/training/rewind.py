"""`RewindManager`: keeps the states that trainings return to, on disk, with digests. They never change."""

from pathlib import Path

import keras

from tf_lottery import arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import mask_slots
from tf_lottery.layers.copying import settle
from tf_lottery.paths import rewind_point
from tf_lottery.training import state


class RewindManager:
    """Keeps the state of a training at its rewind points.

    Args:
        directory: Where the states are kept, one file `<step>it.npz` for each rewind point.

    Examples:
        >>> import keras, numpy as np, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="output")])
        >>> model, optimizer = lottery.make_prunable(plain), keras.optimizers.Adam()
        >>> optimizer.build(model.trainable_variables)
        >>> manager = lottery.RewindManager("rewind")
        >>> theta_0 = manager.save(0, model, optimizer)
        >>> _ = model.get_layer("output").layer.kernel.assign(np.ones((4, 2)))  # training
        >>> lottery.prune(model, rate=0.5)
        >>> manager.restore(0, model) == theta_0
        True
    """

    def __init__(self, directory: str | Path):
        self._directory = Path(directory)

    def path(self, step: int) -> Path:
        """Return the file of a rewind point."""
        if not isinstance(step, int) or step < 0:
            raise LotteryError(f"Expected a step, counted from 0. Received: {step!r}")
        return rewind_point(self._directory, step)

    def save(self, step: int, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> str:
        """Keep every variable of a model, except masks, and of its optimizer; return their digest.

        Raises:
            LotteryError: If another state is kept for this step already, or the optimizer isn't built.
        """
        if not optimizer.built:
            raise LotteryError(
                "The optimizer has no variables yet. Call optimizer.build(model.trainable_variables) first."
            )
        variables = state.model_variables(model) | state.optimizer_variables(optimizer)
        return self.keep(step, state.capture(variables))

    def keep(self, step: int, captured: arrays.Arrays) -> str:
        """Keep a state in the form that `save` captures, by names of variables; return its digest.

        Raises:
            LotteryError: If another state is kept for this step already.
        """
        digest = arrays.digest(captured)
        if self.path(step).exists():
            if arrays.digest(self.load(step)) != digest:
                raise LotteryError(
                    f"{self.path(step)} holds another state already, and rewind points never change. "
                    "Use another directory."
                )
            return digest
        return arrays.save_sealed(self.path(step), captured)

    def load(self, step: int, digest: str | None = None) -> arrays.Arrays:
        """Return the state at a rewind point.

        Args:
            step: The rewind point.
            digest: The digest that `save` returned. If it is given, another training's state is refused, too.

        Raises:
            LotteryError: If the state is missing or fails its checksum.
        """
        return arrays.load_sealed(self.path(step), digest)

    def restore(
        self,
        step: int,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer | None = None,
        digest: str | None = None,
    ) -> str:
        """Bring weights, biases, normalization statistics and random state back, bit for bit.

        Kernels are masked with the model's current masks.

        Args:
            step: The rewind point.
            model: The network that was saved, prunable or plain.
            optimizer: An optimizer to restore as well, its slots masked. Default: none.
            digest: The state's expected digest, as in `load`.

        Returns:
            The digest of the state.
        """
        saved = self.load(step, digest)
        parts = {
            part: {name: array for name, array in saved.items() if name.startswith(f"{part}/")}
            for part in ("model", "optimizer")
        }
        state.restore(state.model_variables(model), parts["model"])
        settle(model)
        if optimizer is not None:
            state.restore(state.optimizer_variables(optimizer), parts["optimizer"])
            mask_slots(optimizer, model)
        return arrays.digest(saved)
