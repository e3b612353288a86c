"""`Trainer`: one network with its optimizer, loop and evaluations.

It is compiled once and serves any number of trainings: masks and weights are variables, so nothing is
traced again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.arrays import Arrays
from tf_lottery.config import DataConfig, LearningRateConfig, ModelConfig, TrainingConfig
from tf_lottery.data.augment import make_augment
from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, mask_slots, parameters, set_masks
from tf_lottery.layers.convert import check_plain, make_prunable
from tf_lottery.layers.copying import settle
from tf_lottery.layers.in_place import held_in_place
from tf_lottery.layers.redraw import Redrawn, frozen, redraw
from tf_lottery.length import Length
from tf_lottery.models.build import architecture, build
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.probe import Probe
from tf_lottery.training import compile_rule, optimizers, state, strategy
from tf_lottery.training.dense import DenseEngine
from tf_lottery.training.evaluate import make_evaluate
from tf_lottery.training.feed import Feed, make_feed, scale
from tf_lottery.training.learning_rates import make_learning_rates
from tf_lottery.training.loop import Loop
from tf_lottery.training.observe import Passed
from tf_lottery.training.precision import precision
from tf_lottery.training.replicas import check_agreement, check_losses
from tf_lottery.training.scores import KerasProbe, draw_examples
from tf_lottery.training.stop import Stop


class Trainer(DenseEngine):
    """Builds the network of a `RunSpec` and compiles its training and its evaluations.

    Args:
        data: The settings of the data, as in a `RunSpec`.
        model: The settings of the network.
        training: The settings of the training.
        dataset: The data.

    Attributes:
        model: The prunable network.
        optimizer: The network's optimizer, built.
        strategy: The strategy under which both were created.
        loss: A function `(labels, outputs) -> loss of each example`.
        feed: The feed of training examples.
        loop: The compiled loop.
        evaluate: `validation` and `test` -> function that returns loss and accuracy.
        resolved: What the rules decided, as in a `Record`.
        parameters: The number of trainable parameters.
        kernels: The paths of the prunable kernels.
        frozen: The paths of the weights that aren't trained, except statistics of normalization.
        compile_seconds: The time that compiling took, charged to the run that it was done for; 0 for later
            ones.
    """

    def __init__(self, data: DataConfig, model: ModelConfig, training: TrainingConfig, dataset: Dataset):
        scope = self.strategy = strategy.make(training.strategy)
        parts = (data, model, training)
        check_agreement(scope, "".join(part.model_dump_json(exclude={"path"}) for part in parts))
        self._build = partial(_build, model, training.precision, dataset)
        self._parts = model, training, dataset
        loss = self.loss = optimizers.make_loss(training, dataset.classes)
        self.model, shape = self._prunable(model.frozen)
        with scope.scope():
            self.optimizer = optimizers.build_optimizer(
                training, self.model.trainable_variables, scope.num_replicas_in_sync
            )
        self.model.optimizer = self.optimizer  # so that new masks apply to its slots, too
        self._fresh_optimizer = state.capture(state.optimizer_variables(self.optimizer))
        outputs = self.model(scale(tf.constant(dataset.validation.take(slice(64)))), training=False)
        optimizers.check_outputs(outputs, loss, training)
        device = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        replicas = scope.num_replicas_in_sync
        check_losses(self.model, replicas)
        xla = compile_rule.use_xla(self.model, training.xla, device, replicas)
        augment = make_augment(data.augment, dataset.input_shape)
        self.feed = make_feed(dataset.train, training.batch_size, augment, data.pipeline)
        examples = len(dataset.train)
        loop = make_loop(training, self.model, self.optimizer, loss, self.feed, scope, xla, examples)
        evaluate = {
            part: make_evaluate(self.model, loss, getattr(dataset, part), xla)
            for part in ("validation", "test")
        }
        super().__init__(self.model, self.optimizer, loop, evaluate)
        self.parameters = parameters(self.model)
        self.kernels, self.frozen = list(get_masks(self.model)), frozen(self.model)
        self.resolved = {
            "device": device,
            "strategy": type(scope).__name__,
            "replicas": replicas,
            "xla": xla,
            "precision": training.precision,
            "threads": training.threads,
            "input_shape": list(dataset.input_shape),
            "classes": dataset.classes,
            "architecture": shape,
        }
        if dataset.standardized:
            self.resolved["standardized"] = dataset.standardized
        self.compile_seconds, self._compiled = 0.0, False

    def train(
        self, first: int, last: int, order: BatchOrder, stops: Sequence[Stop], passed: Passed | None = None
    ) -> None:
        """Compile, unless that is done, and train from one step to another, as in `Engine`."""
        self.compile()
        super().train(first, last, order, stops, passed)

    def measure(self, part: str) -> tuple[float, float]:
        """Return loss and accuracy on `validation` or `test`."""
        self.compile()
        return super().measure(part)

    def compile(self) -> None:
        """Compile the training and the evaluations, unless that is done; another engine may not need them."""
        if not self._compiled:
            self.compile_seconds += compile_all(self.loop, self.evaluate)
            self._compiled = True

    def _prunable(self, frozen: bool) -> tuple[keras.Model, str]:
        """Return the prunable network, created under the strategy, and the plain network's architecture."""
        plain = self._build(0)
        plain_architecture = architecture(plain)
        with self.strategy.scope():
            prunable = make_prunable(plain, frozen=frozen)
        if not held_in_place(prunable):
            return prunable, plain_architecture
        # A copy would have been created under the strategy. The model itself wasn't: it is built once more.
        plain = self._build(0, self.strategy.scope())
        try:
            check_plain(plain)
        except LotteryError as error:
            raise LotteryError(
                "Expected a builder that returns a new model each time, since Keras can't copy this one "
                f"({prunable._why_in_place}). Received: {error}"
            ) from error
        with self.strategy.scope():
            return make_prunable(plain, frozen=frozen), plain_architecture

    def initial_weights(self, seed: int) -> Arrays:
        """Return a random initialization of the network, biases and normalization included."""
        return state.capture(state.model_variables(self._build(seed)))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return kernel path -> shape, of all prunable kernels."""
        return {path: mask.shape for path, mask in get_masks(self.model).items()}

    def dense(self, seed: int) -> Arrays:
        """Return the weights of the dense network at step 0."""
        return self.initial_weights(seed)

    def redrawn(self, seed: int, theta_0: Arrays) -> Redrawn:
        """Return a random reinitialization of theta_0."""
        return redraw(self.model, self.kernels, theta_0, self.initial_weights(seed), "model/")

    def probe(self, weights: Arrays, examples: int, seed: int) -> Probe:
        """Return what measures gradients at some weights, on a batch of training examples.

        Args:
            weights: All weights by name, from any run of this network.
            examples: The number of examples, drawn without replacement; all of them if there are fewer.
            seed: Seed of the draw.
        """
        batch = draw_examples(self._parts[-1].train, examples, seed)
        return self.probe_on(weights, batch["x"], batch["y"])

    def probe_on(self, weights: Arrays, x: np.ndarray, y: np.ndarray) -> KerasProbe:
        """Return what measures gradients at some weights, on a given batch.

        Args:
            weights: All weights by name.
            x: The batch's inputs, as the feed gives them.
            y: The batch's labels.
        """
        model, training, dataset = self._parts
        return KerasProbe(
            build=lambda policy: _build(model, policy, dataset, 0),
            loss=self.loss,
            weights=weights,
            x=x,
            y=y,
            kernels=self.kernels,
            precision="float64" if training.precision == "float64" else "float32",
            outputs=optimizers.outputs_of(training),
            agree=partial(check_agreement, self.strategy),
        )

    def named(self, arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Return stored arrays under the names that this network uses, which are the same."""
        return dict(arrays)

    def begin(self, masks: Masks, weights: Arrays, step: int, optimizer: Arrays | None) -> None:
        """Set masks, weights and the optimizer's state, masked; None resets the optimizer."""
        self.reset_optimizer()
        set_masks(self.model, masks)
        self.set_weights(weights)
        settle(self.model)
        if optimizer is not None:
            state.restore(state.optimizer_variables(self.optimizer), optimizer)
            mask_slots(self.optimizer, self.model)

    def reset_optimizer(self) -> None:
        """Bring the optimizer back to its state before the first step."""
        state.restore(state.optimizer_variables(self.optimizer), self._fresh_optimizer)


def compile_all(loop: Loop, evaluate: Mapping[str, Callable]) -> float:
    """Trace and compile everything that a training calls; return the seconds that this took."""
    began = time.perf_counter()
    loop.prepare()
    for measure in evaluate.values():
        measure()
    loop.check()
    return time.perf_counter() - began


def make_loop(
    training: TrainingConfig,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: Callable,
    feed: Feed,
    scope: tf.distribute.Strategy,
    xla: bool,
    examples: int,
    of: type[Loop] = Loop,
) -> Loop:
    """Return the loop that a config asks for, not yet compiled.

    Args:
        training: The settings, among them learning rates and weight decay.
        model, optimizer, loss, feed, scope, xla: As in `Loop`, where `scope` is its `strategy`.
        examples: The number of training examples.
        of: The class of the loop.
    """
    rates = make_learning_rates(training, Length.of(training, examples).per_epoch)
    scheduled = training.learning_rate_schedule != LearningRateConfig()
    l2 = training.weight_decay if training.weight_decay_kind == "l2" else 0.0
    return of(model, optimizer, loss, feed, scope, xla, rates if scheduled else None, l2)


def _build(
    model: ModelConfig,
    policy: str,
    dataset: Dataset,
    seed: int,
    scope: AbstractContextManager | None = None,
) -> keras.Model:
    with precision(policy):
        return build(model, dataset.input_shape, dataset.classes, seed, scope)
