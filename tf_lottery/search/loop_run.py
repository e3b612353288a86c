"""Runs of a search through the library's compiled loop, for models that it supports."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery import steps
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Split
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec
from tf_lottery.paths import RunPaths
from tf_lottery.search.fit_run import FitRun, Trained
from tf_lottery.search.monitor import Monitor
from tf_lottery.search.network import Network
from tf_lottery.search.record import SearchStore
from tf_lottery.training import compile_rule
from tf_lottery.training.dense import DenseEngine
from tf_lottery.training.early_stop import EarlyStop
from tf_lottery.training.engine import Engine
from tf_lottery.training.evaluate import make_evaluate
from tf_lottery.training.feed import Feed, make_feed
from tf_lottery.training.loop import Loop
from tf_lottery.training.measured import train
from tf_lottery.training.observe import Point, TrainingObserver
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.stops import Evaluations, Snapshots

_ARGUMENTS = {"x", "y", "batch_size", "epochs", "validation_data", "validation_split", "verbose"}
_MONITORS = {"val_accuracy": "validation_accuracy", "val_loss": "validation_loss"}


class LoopRun(FitRun):
    """Trains runs through the compiled loop, as `FitRun` does through `fit`.

    An epoch drops the examples that don't fill a batch.

    Raises:
        LotteryError: If the loop doesn't support the model or the data, and `fit` must be used.
    """

    def __init__(
        self,
        network: Network,
        store: SearchStore,
        monitor: Monitor | None,
        arguments: Mapping[str, Any],
        watch: keras.callbacks.Callback | None = None,
    ):
        examples, validation = _splits(arguments)
        self._batch_size, self._epochs = arguments.get("batch_size") or 32, arguments.get("epochs", 1)
        self._examples = len(examples)
        super().__init__(
            network, store, monitor, arguments, steps.epoch(self._examples, self._batch_size), watch
        )
        self.monitor = self.monitor or Monitor.of("val_accuracy")
        if self.monitor.name not in _MONITORS:
            raise _refused(f"monitor={self.monitor.name!r}, where the loop knows {' and '.join(_MONITORS)}")
        model = network.model
        strategy = model.distribute_strategy or tf.distribute.get_strategy()
        if strategy.num_replicas_in_sync > 1:
            raise _refused(f"a strategy of {strategy.num_replicas_in_sync} replicas")
        loss, device = _loss(model), "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        xla = compile_rule.use_xla(model, "auto", device, 1)
        feed = make_feed(examples, self._batch_size, None)
        loop = Loop(model, model.optimizer, loss, feed, strategy, xla)
        evaluate = {"validation": make_evaluate(model, loss, validation, xla)}
        self.engine = self._make_engine(loop, evaluate, feed, examples, validation)

    def _make_engine(
        self, loop: Loop, evaluate: Mapping[str, Callable], feed: Feed, examples: Split, validation: Split
    ) -> DenseEngine:
        """Return the engine of the whole network."""
        return DenseEngine(self.network.model, self.network.model.optimizer, loop, evaluate)

    def _engine(self) -> Engine:
        """Return the engine that trains a run. The network is in the state in which the run begins."""
        return self.engine

    def _train(self, spec: RunSpec, run: RunPaths, first: int) -> Trained:
        points_kept = {steps.iterations(point, self._per_epoch) for point in spec.snapshots}
        last = self._epochs * self._per_epoch
        best = _BestMonitored(self.monitor, first)
        watched = _Watched(self._watch, self._per_epoch, self._epochs)
        engine = self._engine()
        snapshots = Snapshots(engine, RewindManager(run.rewind), points_kept)
        evaluations = Evaluations(engine, self._per_epoch, watched, best)
        order = BatchOrder(spec.order_seed, self._examples, self._batch_size)
        train(engine, first, last, order, [snapshots, evaluations])
        if engine is not self.engine:
            self.engine.restore(engine.state())
        points = [point for point in evaluations.points if point.step > first]
        return Trained(
            self.monitor,
            getattr(best.point, _MONITORS[self.monitor.name]),
            -(-best.point.step // self._per_epoch),
            best.weights,
            last - first,
            {
                "loss": [point.train_loss for point in points],
                "accuracy": [point.train_accuracy for point in points],
                "val_loss": [point.validation_loss for point in points],
                "val_accuracy": [point.validation_accuracy for point in points],
            },
            [-(-point.step // self._per_epoch) for point in points],
            snapshots.digests,
        )


class _BestMonitored(EarlyStop):
    """Keeps the epoch at which the monitored quantity is best; the state before the first doesn't count."""

    def __init__(self, monitor: Monitor, first: int):
        super().__init__()
        self._monitor, self._first = monitor, first

    def improves(self, point: Point) -> bool:
        def goodness(at: Point) -> float:
            return self._monitor.goodness(getattr(at, _MONITORS[self._monitor.name]))

        return point.step > self._first and (self.point is None or goodness(point) > goodness(self.point))


class _Watched(TrainingObserver):
    """Passes evaluations on to the callback that shows progress."""

    def __init__(self, callback: keras.callbacks.Callback | None, per_epoch: int, epochs: int):
        self._callback, self._per_epoch = callback, per_epoch
        if callback is not None:
            callback.set_params({"epochs": epochs})

    def evaluated(self, point: Point) -> None:
        if self._callback is not None and point.step:
            self._callback.on_epoch_end(-(-point.step // self._per_epoch) - 1)


def _splits(arguments: Mapping[str, Any]) -> tuple[Split, Split]:
    """Return training and validation examples, as `fit` would take them."""
    unknown = [name for name, value in arguments.items() if name not in _ARGUMENTS and value is not None]
    if unknown:
        raise _refused(f"{', '.join(unknown)}, which the loop doesn't know")
    x, y = _examples(arguments["x"], arguments.get("y"), "x and y")
    if (validation := arguments.get("validation_data")) is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise _refused("validation_data that isn't (x, y)")
        return Split(x, y), Split(*_examples(*validation, "validation_data"))
    count = int(np.floor(len(x) * (1 - arguments["validation_split"])))
    return Split(x[:count], y[:count]), Split(x[count:], y[count:])


def _examples(x: Any, y: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    if not all(hasattr(part, "__array__") for part in (x, y)):
        raise _refused(f"{name} as {type(x).__name__} and {type(y).__name__}")
    x, y = np.asarray(x), np.asarray(y)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise _refused(f"{name} with labels of shape {y.shape} and type {y.dtype}")
    if x.dtype == np.uint8:
        x = x.astype(np.float32)  # the loop would scale pixels, which fit doesn't
    return x, y.astype(np.int32)


def _loss(model: keras.Model) -> Callable:
    """Return `(labels, outputs) -> loss of each example`."""
    if type(model).train_step is not keras.Model.train_step or len(model.outputs or [0]) > 1:
        raise _refused("a model with a train_step of its own, or several outputs")
    loss = model.loss
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    if name not in ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"):
        raise _refused(f"loss {name or type(loss).__name__!r}")
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    if config.get("ignore_class") is not None:
        raise _refused("a loss with ignore_class")
    if config.get("reduction", "mean") not in ("sum_over_batch_size", "mean", "auto"):
        raise _refused(f"a loss with reduction {config['reduction']!r}, where the loop takes the mean")
    if (model.get_compile_config() or {}).get("loss_weights") is not None:
        raise _refused("loss_weights")
    logits = from_logits(model)

    def crossentropy(labels, outputs):
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=logits)

    return crossentropy


def from_logits(model: keras.Model) -> bool:
    """Return whether a compiled model's loss takes logits."""
    config = model.loss.get_config() if isinstance(model.loss, keras.losses.Loss) else {}
    return bool(config.get("from_logits", False))


def _refused(received: str) -> LotteryError:
    return LotteryError(
        "engine='loop' takes arrays with classes as integers, sparse categorical crossentropy, one output, "
        f"one device, and no callbacks or weights. Received: {received}. Use engine='fit'."
    )
