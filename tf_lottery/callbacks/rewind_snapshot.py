"""`RewindSnapshot`: saves a rewind point to disk in the middle of a `fit`."""

from pathlib import Path

import keras

from tf_lottery import steps
from tf_lottery.errors import LotteryError
from tf_lottery.training.rewind import RewindManager


class RewindSnapshot(keras.callbacks.Callback):
    """Saves every variable of model and optimizer after a training step, for `RewindManager` to restore.

    Args:
        step: The rewind point: `500it` (steps), `2ep` (epochs), or a number of steps (0 is the start).
        directory: Directory to save to. A different state that is already saved there is never overwritten.
        first_step: Number of steps that the network was trained for before this `fit`.

    Attributes:
        digest: Digest of the saved state, or None if nothing has been saved yet.
        kept_at: Training step at which the state was saved.

    Raises:
        LotteryError: In `fit`, if the step isn't reached, or Keras (`steps_per_execution`) passes over it.

    Examples:
        >>> import keras, numpy as np, tempfile, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model = lottery.make_prunable(plain)
        >>> model.compile("adam", "mse")
        >>> directory = tempfile.mkdtemp()
        >>> snapshot = lottery.callbacks.RewindSnapshot("2it", directory)
        >>> x, y = np.ones((8, 4)), np.ones((8, 2))
        >>> _ = model.fit(x, y, batch_size=2, callbacks=[snapshot], verbose=0)
        >>> lottery.prune(model, rate=0.5)
        >>> lottery.RewindManager(directory).restore(2, model) == snapshot.digest
        True
    """

    def __init__(self, step: str | int, directory: str | Path, first_step: int = 0):
        super().__init__()
        self.step = steps.validate(f"{step}it" if isinstance(step, int) else step)
        self.directory, self.first_step = Path(directory), first_step
        self.digest: str | None = None
        self.kept_at: int | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Save the state if the rewind point is the step at which this training starts."""
        self.digest, self._at = None, self.first_step
        per_epoch = self.params.get("steps") or 0
        known = per_epoch or not int(self.step[:-2]) or self.step.endswith("it")
        self._target = steps.iterations(self.step, per_epoch) if known else None
        if self._target == self.first_step:
            self._keep()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save the state if this step is the rewind point."""
        before, now = self._at, self._begun + batch + 1
        self._at = now
        if self._target is not None and before < self._target < now:
            raise LotteryError(
                "Expected a rewind point at which Keras pauses (steps_per_execution takes several at once). "
                f"Received: {self.step}, between steps {before} and {now}"
            )
        if now == self._target:
            self._keep()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the step at which the epoch begins."""
        self._begun = self._at

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Set the rewind point if the steps per epoch, unknown to Keras before, are known only now."""
        if self._target is None:
            self._target = steps.iterations(self.step, self._at - self._begun)
            if self._target == self._at:
                self._keep()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Check that the step was reached."""
        if self.digest is None:
            reached = f"within the training, {self._at} steps"
            raise LotteryError(f"Expected a rewind point {reached}. Received: {self.step}")

    def _keep(self) -> None:
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        self.kept_at = self._at
        self.digest = RewindManager(self.directory).save(self._at, self.model, self.model.optimizer)
