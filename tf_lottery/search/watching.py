"""The library's own callbacks, which take from a training with `fit` what a run keeps."""

from typing import Any

import keras
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.search.afresh import Plateaus
from tf_lottery.search.monitor import Monitor, divergence
from tf_lottery.search.network import Network


def check_finite(network: Network, when: str = "") -> None:
    """Check that all trainable weights of a network are finite.

    Args:
        network: The network.
        when: The time of the check, for the message: ` after epoch 1`. Default: none.

    Raises:
        LotteryError: If a weight isn't finite.
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
        """Count steps: `batch` is the last of the batches that were trained in one call."""
        self._in_epoch = batch + 1

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start counting steps."""
        self._in_epoch = 0

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Copy the weights that are validated, since a callback may swap in an average for that."""
        self._validated = self._network.weights()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the weights that were measured, if they are the best."""
        self.per_epoch.append(self._in_epoch)
        logs = self._logged = logs or {}
        check_finite(self._network, f" after epoch {epoch + 1}")
        if self.monitor is None:
            if not any(name.startswith("val_") for name in logs):
                return  # validation doesn't happen in every epoch
            self.monitor = Monitor.default(logs)
        value = self.monitor.read(logs, epoch)
        if value is None:
            if any(name.startswith("val_") for name in logs):  # validated, so the value will never come
                raise self.monitor.missing(logs)
            return
        if self.value is None or self.monitor.goodness(value) > self.monitor.goodness(self.value):
            of_validation = self.monitor.name.startswith("val_") and self._validated
            self.value, self.epoch = value, epoch + 1
            self.weights = self._validated if of_validation else self._network.weights()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Check that the monitored quantity was logged."""
        if self.value is None:
            raise (self.monitor or Monitor.default({})).missing(self._logged)


class AfterEpochs(keras.callbacks.Callback):
    """Records after each epoch what callbacks have changed: the learning rate, and their own state."""

    def __init__(self, network: Network, plateaus: Plateaus):
        super().__init__()
        self._network, self._plateaus = network, plateaus
        self.states: dict[int, dict[str, Any]] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Record it before the first epoch, too: from a step within it, training goes on at its beginning."""
        self.states[0] = self._current_state()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Record it after all other callbacks of the epoch have been called."""
        self.states[epoch + 1] = self._current_state()

    def _current_state(self) -> dict[str, Any]:
        return {**self._network.state(), "plateaus": self._plateaus.seen()}
