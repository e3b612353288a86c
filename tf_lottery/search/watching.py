"""Callbacks of our own, which read from a training with `fit` what a run keeps."""

from typing import Any

import keras
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.search.afresh import Plateaus
from tf_lottery.search.monitor import Monitor, divergence
from tf_lottery.search.network import Network


def check_finite(network: Network, when: str = "") -> None:
    """Check that all weights that a network trains are finite.

    Args:
        network: The network.
        when: When it is checked, for the message.

    Raises:
        LotteryError: If one isn't.
    """
    trained = {id(variable) for variable in network.model.trainable_variables}
    for name, variable in network.variables.items():
        if id(variable) not in trained:
            continue
        floats = keras.backend.is_float_dtype(variable.dtype)
        if floats and not ops.convert_to_numpy(ops.all(ops.isfinite(variable))):
            raise divergence(name.removeprefix("model/"), f"NaN or infinity{when}")


class Best(keras.callbacks.Callback):
    """Keeps the weights of the epoch at which the monitored quantity is best, in memory."""

    def __init__(self, network: Network, monitor: Monitor | None):
        super().__init__()
        self._network, self.monitor = network, monitor
        self.value: float | None = None
        self.epoch = 0
        self.per_epoch: list[int] = []
        self.weights: Arrays = {}
        self._validated: Arrays = {}

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count steps: `batch` is the last of those that were taken at once."""
        self._in_epoch = batch + 1

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin to count."""
        self._in_epoch = 0

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Take note of what is validated: a callback may put an average in the weights' place for that."""
        self._validated = self._network.weights()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the weights that were measured, if they are the best."""
        self.per_epoch.append(self._in_epoch)
        logs = self._logged = logs or {}
        check_finite(self._network, f" after epoch {epoch + 1}")
        if self.monitor is None:
            if not any(name.startswith("val_") for name in logs):
                return  # validated every few epochs only
            self.monitor = Monitor.default(logs)
        value = self.monitor.read(logs, epoch)
        if value is None:
            if any(name.startswith("val_") for name in logs):  # it was validated: it won't come any more
                raise self.monitor.missing(logs)
            return
        if self.value is None or self.monitor.goodness(value) > self.monitor.goodness(self.value):
            of_validation = self.monitor.name.startswith("val_") and self._validated
            self.value, self.epoch = value, epoch + 1
            self.weights = self._validated if of_validation else self._network.weights()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Check that there was something to monitor."""
        if self.value is None:
            raise (self.monitor or Monitor.default({})).missing(self._logged)


class AfterEpochs(keras.callbacks.Callback):
    """Notes what callbacks have made of the learning rate and of themselves, after each epoch."""

    def __init__(self, network: Network, plateaus: Plateaus):
        super().__init__()
        self._network, self._plateaus = network, plateaus
        self.states: dict[int, dict[str, Any]] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Note it before the first epoch, too: within that a training goes on from its beginning."""
        self.states[0] = self._note()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note it; all other callbacks of the epoch have been called."""
        self.states[epoch + 1] = self._note()

    def _note(self) -> dict[str, Any]:
        return {**self._network.state(), "plateaus": self._plateaus.seen()}
