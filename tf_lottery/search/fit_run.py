"""One run of a search: start, `fit`, measure, keep."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery import arrays, steps
from tf_lottery.arrays import Arrays
from tf_lottery.callbacks.rewind_snapshot import RewindSnapshot
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.layers.access import get_masks, kernels, parameters
from tf_lottery.method.spec import LayerCount, RunSpec
from tf_lottery.paths import RunPaths
from tf_lottery.runs.start import next_masks, reinitialized
from tf_lottery.search.afresh import Callbacks, Plateaus
from tf_lottery.search.fit_arguments import callbacks_of
from tf_lottery.search.monitor import Monitor, diverged
from tf_lottery.search.network import Network
from tf_lottery.search.record import FitRecord, SearchStore
from tf_lottery.store.environment import environment


@dataclass(frozen=True)
class Trained:
    """What a training gave; as in a `FitRecord`."""

    monitor: Monitor
    value: float
    epoch: int
    weights: Arrays
    """At early stop."""
    steps: int
    """That were trained."""
    history: dict[str, list[float | None]]
    epochs: list[int]
    rewind_digests: dict[str, str]
    states: dict[str, Any] = field(default_factory=dict)


class FitRun:
    """Trains runs through `model.fit`.

    Args:
        network: used again from run to run.
        store: of the search.
        monitor: what rounds are compared by.
        arguments: of `fit`.
        steps_per_epoch: None if only training tells.
        watch: a callback that shows progress.
    """

    def __init__(
        self,
        network: Network,
        store: SearchStore,
        monitor: Monitor | None,
        arguments: Mapping[str, Any],
        steps_per_epoch: int | None,
        watch: keras.callbacks.Callback | None = None,
    ):
        self.network, self.store, self.monitor = network, store, monitor
        self._arguments, self._per_epoch, self._watch = dict(arguments), steps_per_epoch, watch
        self._callbacks = Callbacks(callbacks_of(arguments))
        self._states: dict[str, Any] = {}
        self._state: dict[str, Any] = {}

    def run(self, spec: RunSpec) -> FitRecord:
        """Train a run and store it.

        Raises:
            DamagedError: a file of an earlier run that isn't as it was written.
            LotteryError: a training that diverges, a rewind point that isn't reached.
        """
        began = time.perf_counter()
        run = self.store.begin(spec.key)
        first, checks = self._prepare(spec)
        train_began = time.perf_counter()
        trained = self._train(spec, run, first)
        seconds = time.perf_counter() - train_began
        self._check_zeros()
        masks = get_masks(self.network.model)
        digests = trained.rewind_digests | {
            "masks": arrays.save(run.masks, masks, compress=True),
            "weights_last": arrays.save(run.weights_last, self.network.weights()),
            "weights_early_stop": arrays.save(run.weights_early_stop, trained.weights),
        }
        return self.store.finish(
            FitRecord(
                key=spec.key,
                spec=spec,
                weights_total=sum(mask.size for mask in masks.values()),
                weights_remaining=sum(int(mask.sum()) for mask in masks.values()),
                parameters_total=parameters(self.network.model),
                layers={p: LayerCount(total=m.size, remaining=int(m.sum())) for p, m in masks.items()},
                first_step=first,
                last_step=first + trained.steps,
                seconds={"train": seconds, "total": time.perf_counter() - began},
                checks=checks | {"zeros_checked_times": 1},
                digests=digests,
                environment=environment(),
                monitor=trained.monitor.name,
                mode=trained.monitor.mode,
                value=trained.value,
                epoch=trained.epoch,
                final={name: values[-1] for name, values in trained.history.items()},
                history=trained.history,
                epochs=trained.epochs,
                states=trained.states,
            )
        )

    def _train(self, spec: RunSpec, run: RunPaths, first: int) -> Trained:
        """Call `fit`, from a step on; the network is at its start."""
        best = _Best(self.network, self.monitor)
        snapshots = [RewindSnapshot(point, run.rewind) for point in spec.snapshots]
        label = f"round{spec.round:02d}" + ("" if spec.arm == "ticket" else f"_{spec.arm}{spec.trial + 1}")
        watching = [self._watch] if self._watch else []
        arguments = {"verbose": 0, **self._arguments}
        # A history of this run alone: one of the user's goes on from round to round.
        own = keras.callbacks.History()
        arguments["initial_epoch"] = first // self._per_epoch if first else 0
        keras.utils.set_random_seed(spec.order_seed)
        with self._callbacks.of(label) as callbacks:
            plateaus = Plateaus(callbacks, self._state.get("plateaus") if first else None)
            after = _AfterEpochs(self.network, plateaus)
            arguments["callbacks"] = [*snapshots, *callbacks, plateaus, best, *watching, own, after]
            self.network.model.fit(**arguments)
        self._check_steps(best.per_epoch, own.epoch)
        kept_at = {f"{snapshot.kept_at}it": snapshot for snapshot in snapshots}
        return Trained(
            best.monitor,
            best.value,
            best.epoch,
            best.weights,
            sum(best.per_epoch),
            _scalars(own.history),
            [epoch + 1 for epoch in own.epoch],
            {f"rewind/{point}": snapshot.digest for point, snapshot in kept_at.items()},
            {
                point: after.states[snapshot.kept_at // best.per_epoch[0]]
                for point, snapshot in kept_at.items()
                if snapshot.kept_at
            },
        )

    def _prepare(self, spec: RunSpec) -> tuple[int, dict[str, Any]]:
        """Set masks, weights and optimizer; return the first step and what was asserted."""
        network = self.network
        shapes = {path: mask.shape for path, mask in get_masks(network.model).items()}
        masks = next_masks(spec, self.store, shapes)
        if spec.start == "initialize":
            network.begin(masks, network.initial, 0)
            return 0, {}
        original = self.store.rewind_point(spec.root, 0)
        theta_0 = {name: value for name, value in original.items() if name.startswith("model/")}
        if spec.start == "reinitialize":
            found = network.redrawn(spec.init_seed, theta_0)
            network.begin(masks, found.weights, 0)
            return 0, reinitialized(found)
        return self._rewind(spec, masks)

    def _rewind(self, spec: RunSpec, masks: Mapping) -> tuple[int, dict[str, Any]]:
        step = self.rewind_step(spec.rewind.to)
        found = self.store.rewind_point(spec.root, step)
        parts: dict[str, Arrays] = {
            part: {name: value for name, value in found.items() if name.startswith(part)}
            for part in ("model/", "optimizer/")
        }
        self._state = self._states.get(f"{step}it", {}) if step else {}
        if step and not self._state and callbacks_of(self._arguments):
            raise StudyError(
                "Expected a search whose dense run noted what callbacks had changed by the rewind point. "
                "Received: one of an older version. Use another directory."
            )
        self.network.begin(masks, parts["model/"], step)
        if spec.rewind.optimizer == "restore":
            self.network.restore_optimizer(parts["optimizer/"])
        self.network.go_on(self._state)
        return step, {"rewind_digest": self.store.rewind_digest(spec.root, step)}

    def rewind_step(self, point: str) -> int:
        """Return the training step of a rewind point."""
        return steps.iterations(point, self._per_epoch or 0)

    def learn(self, record: FitRecord) -> None:
        """Take from the dense run what only training tells: the steps of an epoch, the monitor."""
        epochs = len(record.epochs)
        self._per_epoch = self._per_epoch or (record.last_step - record.first_step) // max(epochs, 1)
        self.monitor = Monitor(record.monitor, record.mode)
        self._states = record.states

    def _check_steps(self, per_epoch: Sequence[int], epochs: Sequence[int]) -> None:
        """Check that each epoch had as many steps as it has in every round."""
        expected = self._per_epoch or (per_epoch[0] if per_epoch else 0)
        stopped = len(per_epoch) - 1 if self.network.model.stop_training else len(per_epoch)
        for epoch, count in zip(epochs[:stopped], per_epoch[:stopped], strict=False):
            if count != expected:
                raise LotteryError(
                    f"Expected {expected} steps in each epoch, in every round. Received: {count} in epoch "
                    f"{epoch + 1}: the data ran out, or differs in length from epoch to epoch. Repeat it "
                    "(dataset.repeat()) and give steps_per_epoch."
                )

    def _check_zeros(self) -> None:
        for path, (kernel, kernel_mask) in kernels(self.network.model).items():
            if (kernel.numpy()[~kernel_mask.numpy()] != 0).any():
                raise RuntimeError(f"pruned weights of {path} are not 0.0: please report this")


def check_finite(network: Network, when: str = "") -> None:
    """Check that a network trains no weight that isn't a number. Args: when: it is checked, for the message.

    Raises:
        LotteryError: it has.
    """
    trained = {id(variable) for variable in network.model.trainable_variables}
    for name, variable in network.variables.items():
        if id(variable) not in trained:
            continue
        floats = keras.backend.is_float_dtype(variable.dtype)
        if floats and not ops.convert_to_numpy(ops.all(ops.isfinite(variable))):
            raise diverged(name.removeprefix("model/"), f"NaN or infinity{when}")


def _scalars(history: Mapping[str, list]) -> dict[str, list[float | None]]:
    """Return what JSON can hold of a history: scalars, None where one isn't finite."""
    kept = {name: values for name, values in history.items() if all(np.ndim(v) == 0 for v in values)}
    return {
        name: [float(v) if np.isfinite(float(v)) else None for v in values] for name, values in kept.items()
    }


class _Best(keras.callbacks.Callback):
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


class _AfterEpochs(keras.callbacks.Callback):
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
