"""One run of a search: it is started, trained with `fit`, measured and kept."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tf_lottery import arrays
from tf_lottery.arrays import Arrays
from tf_lottery.callbacks.rewind_snapshot import RewindSnapshot
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.layers.access import get_masks, kernels, parameters
from tf_lottery.length import Length
from tf_lottery.method.spec import RunSpec, counts
from tf_lottery.paths import RunPaths
from tf_lottery.runs.cost import connected, spent
from tf_lottery.runs.start import start_run
from tf_lottery.search.afresh import Callbacks, Plateaus, label_of
from tf_lottery.search.fit_arguments import callbacks_of
from tf_lottery.search.monitor import Monitor
from tf_lottery.search.network import Network
from tf_lottery.search.record import FitRecord, SearchStore
from tf_lottery.search.watching import AfterEpochs, Best
from tf_lottery.store.environment import environment


@dataclass(frozen=True)
class Trained:
    """The results of a training. Fields without a description are as in a `FitRecord`."""

    monitor: Monitor
    """The quantity that was monitored."""
    value: float
    epoch: int
    weights: Arrays
    """The weights at early stop."""
    steps: int
    """The number of steps that were trained."""
    history: dict[str, list[float | None]]
    epochs: list[int]
    rewind_digests: dict[str, str]
    states: dict[str, Any] = field(default_factory=dict)


class FitRun:
    """Trains runs through `model.fit`.

    The examples of a batch of `fit` aren't known (the last of an epoch may be smaller), so neither are a
    run's FLOPs.

    Args:
        network: The search's network, which all runs share.
        store: The store that holds the search's runs.
        monitor: The quantity that rounds are compared by; None if only the logs of `fit` can tell.
        arguments: The arguments of `fit`.
        steps_per_epoch: The number of steps in an epoch; None if only training can tell.
        watch: A callback that shows progress. Default: none.
    """

    _batch_size: int | None = None

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
        self._callback_states: dict[str, Any] = {}
        self._callback_state: dict[str, Any] = {}
        self._dense_steps = 0

    def run(self, spec: RunSpec) -> FitRecord:
        """Train a run and store it.

        Raises:
            DamagedError: If a file of an earlier run fails its checksum.
            LotteryError: If the training diverges, or doesn't reach the rewind point.
        """
        before = self.store.find(spec.key)
        return self._first(spec) if before is None else self._again(spec, before)

    def _first(self, spec: RunSpec) -> FitRecord:
        began = time.perf_counter()
        run = self.store.begin(spec.key)
        length = self._length()
        start = start_run(spec, self.store, self.network, length)
        if start.first_step >= length.last > 0:
            raise LotteryError(
                f"Expected a rewind point before the end of training, {length.last} steps. Received: "
                f"{spec.rewind.to}"
            )
        self._resume(start.first_step)
        train_began = time.perf_counter()
        trained = self._train(spec, run, start.first_step)
        seconds = time.perf_counter() - train_began
        self._check_zeros()
        masks = get_masks(self.network.model)
        digests = trained.rewind_digests | {
            "masks": arrays.save(run.masks, masks, compress=True),
            "weights_last": arrays.save(run.weights_last, self.network.weights()),
            "weights_early_stop": arrays.save(run.weights_early_stop, trained.weights),
        }
        total = time.perf_counter() - began
        return self.store.finish(
            FitRecord(
                key=spec.key,
                spec=spec,
                parameters_total=parameters(self.network.model),
                first_step=start.first_step,
                last_step=start.first_step + trained.steps,
                seconds={"train": seconds, "total": total},
                checks=start.checks | {"zeros_checked_times": 1},
                digests=digests,
                environment=environment(),
                spent=spent(self.network.model, trained.steps, self._batch_size, seconds, total),
                monitor=trained.monitor.name,
                mode=trained.monitor.mode,
                value=trained.value,
                epoch=trained.epoch,
                final={name: values[-1] for name, values in trained.history.items()},
                history=trained.history,
                epochs=trained.epochs,
                states=trained.states,
                **counts(masks),
                **connected(self.network.model),
            )
        )

    def _again(self, spec: RunSpec, before: FitRecord) -> FitRecord:
        """Train the dense network again, to keep further rewind points. Its files stay what they are."""
        self.learn(before)
        run, length = self.store.begin(spec.key, go_on=True), self._length()
        points = {point: length.step(point) for point in spec.snapshots}
        missing = tuple(p for p, step in points.items() if f"rewind/{step}it" not in before.digests)
        for point in missing:  # an interrupted training may have left it
            run.artefact(f"rewind/{points[point]}it").unlink(missing_ok=True)
        self._resume(start_run(spec, self.store, self.network, length).first_step)
        trained = self._train(spec.model_copy(update={"snapshots": missing}), run, 0)
        for which, weights in (("last", self.network.weights()), ("early_stop", trained.weights)):
            kept = self.network.named(self.store.weights(spec.key, which), "model/")
            if any(kept[name].tobytes() != value.tobytes() for name, value in weights.items()):
                raise StudyError(
                    "The dense network was trained again to keep a further rewind point, but came out "
                    "otherwise than before. Use another directory, or leave out the arms with that point."
                )
        digests = before.digests | trained.rewind_digests
        changes = {"spec": spec, "digests": digests, "states": trained.states}
        return self.store.finish(before.model_copy(update=changes))

    def _length(self) -> Length:
        """Return the length of a run. Only training the dense one may tell how many steps an epoch has."""
        per_epoch = self._per_epoch or 0
        return Length(per_epoch, per_epoch * self._arguments.get("epochs", 1), per_epoch)

    def _train(self, spec: RunSpec, run: RunPaths, first: int) -> Trained:
        """Call `fit` from the given step on. The network is in the state in which the run begins."""
        best = Best(self.network, self.monitor)
        snapshots = [RewindSnapshot(point, run.rewind) for point in spec.snapshots]
        watching = [self._watch] if self._watch else []
        arguments = {"verbose": 0, **self._arguments}
        # This run gets a history of its own, since one of the user's would go on from round to round.
        own = keras.callbacks.History()
        arguments["initial_epoch"] = first // self._per_epoch if first else 0
        keras.utils.set_random_seed(spec.order_seed)
        with self._callbacks.of(label_of(spec)) as callbacks:
            plateaus = Plateaus(callbacks, self._callback_state.get("plateaus") if first else None)
            after = AfterEpochs(self.network, plateaus)
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
            _changes(after.states, best.per_epoch[0]) if spec.root is None else {},
        )

    def _resume(self, step: int) -> None:
        """Restore what callbacks had changed by the rewind point; at step 0 there is nothing to restore."""
        self._callback_state = self._callback_state_at(step) if step else {}
        self.network.go_on(self._callback_state)

    def _callback_state_at(self, step: int) -> dict[str, Any]:
        """Return what callbacks of the dense run had changed by the epoch that a step lies in."""
        states = {int(point.removesuffix("it")): state for point, state in self._callback_states.items()}
        if 0 not in states:  # an older version recorded the rewind points only
            if step not in states and callbacks_of(self._arguments):
                raise StudyError(
                    "The dense run was trained by an older version, which didn't record what callbacks had "
                    "changed by the rewind point. Use another directory."
                )
            return states.get(step, {})
        if step > self._dense_steps and callbacks_of(self._arguments):
            raise LotteryError(
                f"Expected a rewind point within the dense run, which a callback ended after "
                f"{self._dense_steps} steps. Received: {step}it"
            )
        return states[max(at for at in states if at <= step)]

    def learn(self, record: FitRecord) -> None:
        """Take from the dense run what only training can tell: the steps of an epoch, and the monitor."""
        epochs = len(record.epochs)
        self._per_epoch = self._per_epoch or (record.last_step - record.first_step) // max(epochs, 1)
        self.monitor = Monitor(record.monitor, record.mode)
        self._callback_states, self._dense_steps = record.states, record.last_step

    def _check_steps(self, per_epoch: Sequence[int], epochs: Sequence[int]) -> None:
        """Check that each epoch had as many steps as in every other round."""
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


def _changes(states: Mapping[int, dict[str, Any]], per_epoch: int) -> dict[str, Any]:
    """Return what callbacks had changed by the beginning, and by each later epoch in which it changed.

    Args:
        states: Number of epochs trained -> the state.
        per_epoch: Steps of an epoch.
    """
    return {
        f"{epoch * per_epoch}it": state for epoch, state in states.items() if state != states.get(epoch - 1)
    }


def _scalars(history: Mapping[str, list]) -> dict[str, list[float | None]]:
    """Return the scalars of a history, as JSON holds them: with None for values that aren't finite."""
    scalars = {name: values for name, values in history.items() if all(np.ndim(v) == 0 for v in values)}
    return {
        name: [float(v) if np.isfinite(float(v)) else None for v in values]
        for name, values in scalars.items()
    }
