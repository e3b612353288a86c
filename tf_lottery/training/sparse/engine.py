"""The sparse engine: trains the weights that remain, and computes with them alone."""

import pickle
import time
from collections.abc import Iterator, Sequence

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.config import LearningRateConfig, TrainingConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import PIXEL, Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.length import Length
from tf_lottery.pruning.masks import Masks
from tf_lottery.training import state
from tf_lottery.training.learning_rates import make_learning_rates
from tf_lottery.training.observe import Passed
from tf_lottery.training.pace import Span, Sums, pace
from tf_lottery.training.sparse.examples import Rows, batches, parts, read_only
from tf_lottery.training.sparse.kernels.cache import DIRECTORY
from tf_lottery.training.sparse.kernels.inputs import fill
from tf_lottery.training.sparse.kernels.vector import LANES
from tf_lottery.training.sparse.losses import LOSSES
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.optimizers import make_update
from tf_lottery.training.sparse.slots import slot_names
from tf_lottery.training.stop import Stop
from tf_lottery.training.trainer import Trainer


class SparseEngine:
    """An `Engine` whose cost follows the weights that remain, on one processor core.

    It takes over a trainer's network in the state in which a run begins: masks, weights, optimizer. The
    trainer's own variables stay as they are.

    Args:
        trainer: The whole network.
        training: The settings of the training.
        dataset: The data.

    Raises:
        LotteryError: If the kernels that were kept on disk are damaged.
        Unsupported: If it lacks an op for the network.
    """

    def __init__(self, trainer: Trainer, training: TrainingConfig, dataset: Dataset):
        whole = trainer.state()
        self._whole = {name: value.copy() for name, value in whole.items()}
        self._model_names = list(state.model_variables(trainer.model))
        dtype = np.dtype("float64" if training.precision == "float64" else "float32")
        self._network = network = Network(trainer.model, training.batch_size, dtype)
        self._training = training
        self._start(trainer.masks())
        path_of = {id(variable): name for name, variable in state.model_variables(trainer.model).items()}
        trainable = trainer.model.trainable_variables
        names = [path_of[id(variable)] for variable in trainable]
        if sorted(names) != sorted(part.name for part in self._parameters.parts):
            raise RuntimeError(
                "The sparse engine trains other weights than the network has: please report this"
            )
        self._slots = slot_names(trainer.optimizer, trainable, names)
        scalars = self._slots.pop("scalars")
        self._iteration, self._rate = scalars["iteration"], scalars["learning_rate"]
        self._rates = None
        if training.learning_rate_schedule != LearningRateConfig():
            self._rates = make_learning_rates(training, Length.of(training, len(dataset.train)).per_epoch)
        self._feed, self._dataset = trainer.feed, dataset
        self._loss = LOSSES[training.loss]
        self._share = dtype.type(1 / training.batch_size)
        self._batch, self._lanes = training.batch_size, network.outputs.groups * LANES
        try:
            self.compile_seconds = self._compile()
        except (pickle.UnpicklingError, EOFError) as error:
            raise LotteryError(
                f"{DIRECTORY} holds damaged kernels ({error}). Delete it, and repeat the command."
            ) from error
        self._take(whole)

    def train(
        self, first: int, last: int, order: BatchOrder, stops: Sequence[Stop], passed: Passed | None = None
    ) -> None:
        """Train from one step to another, as in `Engine`."""

        def calls(spans: list[Span]) -> Iterator[Sums]:
            for (start, end), rows in zip(spans, batches(self._feed, order, spans), strict=True):
                sums = self._steps(start, end, rows)
                yield lambda sums=sums: sums

        pace(first, last, stops, passed, self._feed.steps_per_call, calls)

    def _start(self, masks: Masks) -> None:
        """Allocate everything for the weights that remain; `_take` gives them their values."""
        self._masks, network = masks, self._network
        network.start(masks)
        self._parameters = network.context.parameters
        self._update = make_update(self._training, self._parameters)
        self._at, outputs = network.inputs.features(), network.outputs
        self._outputs = outputs.starts(), outputs.groups, outputs.group_step

    def _compile(self) -> float:
        """Take a step on zeros, which compiles kernels or loads them from disk; return the seconds."""
        began, size = time.perf_counter(), len(self._at)
        for dtype in (np.uint8, np.float32):
            if dtype == np.float32 or self._dataset.train.dtype == np.uint8:
                rows = np.zeros((1, self._batch), np.int32)
                self._steps(0, 1, (read_only(np.zeros(size, dtype)), rows, rows))
        self._loss(
            self._network.outputs.value,
            None,
            np.zeros(self._lanes, np.int32),
            *self._outputs,
            self._share,
            np.zeros(2),
        )
        return time.perf_counter() - began

    def _steps(self, first: int, last: int, examples: Rows) -> tuple[float, float]:
        """Train some steps; return the sums of their losses and accuracies."""
        source, chosen, labels = examples
        rows = np.zeros((last - first, self._lanes), np.int32)
        rows[:, : self._batch], rows[:, self._batch :] = chosen, chosen[:, :1]
        targets = np.full(rows.shape, -1, np.int32)
        targets[:, : self._batch] = labels
        if self._rates is None:
            rates = [float(self._whole[self._rate])] * (last - first)
        else:
            rates = self._rates(np.arange(first, last)).astype(np.float32).tolist()
        network, outputs, sums = self._network, self._network.outputs, np.zeros((last - first, 2))
        scale, x = _scale(source), network.inputs
        for index, rate in enumerate(rates):
            fill(source, rows[index], self._at, scale, x.value, x.groups, x.group_step)
            network.forward(True, first + index)
            self._loss(
                outputs.value, outputs.gradient, targets[index], *self._outputs, self._share, sums[index]
            )
            network.backward()
            self._update.step(rate)
        self._whole[self._rate] = np.asarray(rates[-1], self._whole[self._rate].dtype)
        # Sums of float32 are exact in float64, so it doesn't matter where calls begin and end.
        means = (sums / self._batch).astype(np.float32)
        loss, accuracy = means.sum(axis=0, dtype=np.float64)
        return float(loss), float(accuracy)

    def measure(self, part: str) -> tuple[float, float]:
        """Return loss and accuracy on `validation` or `test`."""
        split, network = getattr(self._dataset, part), self._network
        x, outputs, sums = network.inputs, network.outputs, np.zeros(2)
        for source, labels in parts(split):
            scale = _scale(source)
            for first in range(0, len(labels), self._lanes):
                rows = np.minimum(np.arange(first, first + self._lanes, dtype=np.int32), len(labels) - 1)
                targets = np.full(self._lanes, -1, np.int32)
                here = labels[first : first + self._lanes]
                targets[: len(here)] = here
                fill(source, rows, self._at, scale, x.value, x.groups, x.group_step)
                network.forward(False, 0)
                self._loss(outputs.value, None, targets, *self._outputs, self._share, sums)
        return float(sums[0]) / len(split), float(sums[1]) / len(split)

    def check(self) -> None:
        """Check that pruned weights are 0.0 and weights are finite.

        Raises:
            RuntimeError: If a pruned weight isn't 0.0, which is a bug in tf_lottery.
            LotteryError: If a weight is NaN or infinite.
        """
        weights = self.weights()
        infinite = sum(int(np.count_nonzero(~np.isfinite(value))) for value in weights.values())
        if infinite:
            raise LotteryError(
                f"The training diverged: {infinite} weights are NaN or infinite. Lower "
                "training.learning_rate, or use another optimizer."
            )
        revived = sum(
            int(np.count_nonzero(weights["model/" + path][~mask])) for path, mask in self._masks.items()
        )
        if revived:
            raise RuntimeError(f"{revived} pruned weights are not 0.0: please report this")

    def masks(self) -> Masks:
        """Return the masks by kernel path."""
        return {path: mask.copy() for path, mask in self._masks.items()}

    def set_masks(self, masks: Masks) -> None:
        """Replace the masks, as in `Changing`: what is pruned is forgotten, what grows starts at 0.0."""
        state = self.state()
        self._start({path: mask.copy() for path, mask in masks.items()})
        self._take(state)

    def weights(self) -> Arrays:
        """Return copies of all weights of the whole network."""
        self._write_weights()
        return {name: self._whole[name].copy() for name in self._model_names}

    def state(self) -> Arrays:
        """Return copies of all variables of the whole network and its optimizer."""
        self._write_weights()
        self._write_optimizer()
        return {name: value.copy() for name, value in self._whole.items()}

    def restore(self, saved: Arrays) -> None:
        """Restore what `state` returned.

        Raises:
            LotteryError: If the state is that of another network.
        """
        if {name: value.shape for name, value in saved.items()} != {
            name: value.shape for name, value in self._whole.items()
        }:
            raise LotteryError("Expected the state of this network. Received: that of another one")
        self._take(saved)

    def set_weights(self, weights: Arrays) -> None:
        """Replace all weights, for an evaluation; pruned ones stay 0.0."""
        self._take({**self.state(), **weights})

    def optimizer_state(self) -> Arrays:
        """Return copies of the optimizer's variables."""
        self._write_optimizer()
        model = set(self._model_names)
        return {name: value.copy() for name, value in self._whole.items() if name not in model}

    def _write_weights(self) -> None:
        self._parameters.write(self._whole, self._parameters.values)
        for name, value in self._network.context.statistics.items():
            self._whole[name][...] = value

    def _write_optimizer(self) -> None:
        for slot, of in self._slots.items():
            self._parameters.write(self._whole, self._update.slots[slot], of)
        self._whole[self._iteration][...] = self._update.iteration

    def _take(self, saved: Arrays) -> None:
        """Set everything to saved values. What is pruned stays 0.0."""
        for name, value in saved.items():
            self._whole[name] = np.array(value)
        pruned = {"model/" + path: ~mask for path, mask in self._masks.items()}
        for names in ({name: name for name in pruned}, *self._slots.values()):
            for part, name in names.items():
                if part in pruned:
                    self._whole[name][pruned[part]] = 0
        self._parameters.read(self._whole, self._parameters.values)
        for slot, of in self._slots.items():
            self._parameters.read(self._whole, self._update.slots[slot], of)
        for name, value in self._network.context.statistics.items():
            value[...] = self._whole[name]
        self._update.iteration = int(self._whole[self._iteration])
        self._network.seed(self._whole)


def _scale(source: np.ndarray) -> np.float32:
    return PIXEL if source.dtype == np.uint8 else np.float32(1)
