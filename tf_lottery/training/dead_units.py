"""Training without computing dead units, where that is proven to be exact.

A ReLU unit with zero bias and no incoming weight left outputs 0, and its gradient is 0; a unit
without outgoing weights left gets a zero gradient. So the weights of both never move under an
optimizer that leaves weights with zero gradients alone, and neither do those of inputs that nothing
reads. Such a network is trained without them, and the result is scattered back: dead weights are
as they were, bit for bit; the others are as in the whole network, up to rounding, since sums are
taken over fewer zeros.

Only chains of Dense layers are supported. Any other network is trained as a whole.
"""

import itertools
from collections.abc import Sequence

import keras
import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.config import DataConfig, TrainingConfig
from tf_lottery.data.split import Dataset, Split
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.layers.convert import make_prunable
from tf_lottery.layers.prunable import PrunableLayer
from tf_lottery.training import optimizers, state
from tf_lottery.training.dense import DenseEngine
from tf_lottery.training.evaluate import make_evaluate
from tf_lottery.training.feed import Resident
from tf_lottery.training.trainer import Trainer, compile_all, make_loop

# The least product of the weights saved and the steps: compiling the smaller network takes about two
# seconds, which a LeNet at 3% of its weights earns back in 20,000 steps.
SAVED = 1.5e9
# The largest fraction of the weights that may be left to compute, zeros included.
COMPUTED = 0.8

# The largest number of values that the training inputs may have, since they are copied.
_NUMBERS = 2**30

# Optimizers that leave a weight alone if its gradients have all been zero, and the options that keep it so.
_OPTIMIZERS = {
    "sgd": {"momentum", "nesterov"},
    "adam": {"beta_1", "beta_2", "epsilon", "amsgrad"},
}


def without_dead_units(
    trainer: Trainer, data: DataConfig, training: TrainingConfig, dataset: Dataset, steps: int
) -> "CompactTrainer | None":
    """Return a trainer of the network without its dead units; None if that doesn't pay or isn't exact.

    Args:
        trainer: The whole network, with masks and weights set and a fresh optimizer.
        data: The settings of the data.
        training: The settings of the training.
        dataset: The data.
        steps: The number of steps to train.
    """
    kernel_masks = list(get_masks(trainer.model).values())
    if data.augment or not _optimizer_is_known(training):
        return None
    # Only what is part of the run's key may decide; whether the data happens to be streamed isn't.
    if trainer.resolved["replicas"] > 1 or len(dataset.train) * np.prod(dataset.input_shape) > _NUMBERS:
        return None
    if not _is_chain(trainer.model) or not _hidden_biases_are_zero(trainer.model):
        return None
    alive = alive_units(kernel_masks)
    computed = sum(len(inputs) * len(units) for inputs, units in itertools.pairwise(alive))
    total = sum(mask.size for mask in kernel_masks)
    if computed > COMPUTED * total or (total - computed) * steps < SAVED or not all(map(len, alive)):
        return None
    return CompactTrainer(trainer, training, dataset, alive)


def alive_units(kernel_masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the indices of the units that matter, for the inputs and then for each layer.

    Args:
        kernel_masks: The masks of a chain of Dense layers, each of shape (inputs, units).

    Returns:
        A list with one array more than there are masks. All outputs matter.
    """
    alive = [np.ones(mask.shape[0], bool) for mask in kernel_masks] + [
        np.ones(kernel_masks[-1].shape[1], bool)
    ]
    while True:
        before = [units.copy() for units in alive]
        for layer, mask in enumerate(kernel_masks):
            alive[layer] &= mask[:, alive[layer + 1]].any(axis=1)
            if layer + 1 < len(kernel_masks):
                alive[layer + 1] &= mask[alive[layer]].any(axis=0)
        if all((now == then).all() for now, then in zip(alive, before, strict=True)):
            return [np.flatnonzero(units) for units in alive]


class CompactTrainer(DenseEngine):
    """Trains the smaller network, but returns the weights of the whole one.

    Args:
        whole: The whole network, with masks and weights set and a fresh optimizer.
        training: The settings of the training.
        dataset: The data.
        alive: The indices of the units that matter, as `alive_units` returns them.

    Attributes:
        model, optimizer, loop, evaluate: Those of the smaller network; `evaluate` has `validation` only.
        units: The number of inputs, then the number of units of each layer.
        compile_seconds: The time that compiling took.
    """

    def __init__(self, whole: Trainer, training: TrainingConfig, dataset: Dataset, alive: list[np.ndarray]):
        self._alive = alive
        self._names = [path.removesuffix("/kernel") for path in get_masks(whole.model)]
        self._whole = whole.weights()
        self.units = [len(units) for units in alive]
        xla, scope = whole.resolved["xla"], whole.strategy
        plain = _smaller(whole.model, alive)
        with scope.scope():
            self.model = make_prunable(plain)
            self.optimizer = optimizers.build_optimizer(training, self.model.trainable_variables)
        self.model.optimizer = self.optimizer
        set_masks(
            self.model,
            {path: self._part(path, mask) for path, mask in get_masks(whole.model).items()},
        )
        state.restore(
            state.model_variables(self.model),
            {name: self._part(name.removeprefix("model/"), value) for name, value in self._whole.items()},
        )
        train, validation = (_columns(part, alive[0]) for part in (dataset.train, dataset.validation))
        feed = Resident(train, training.batch_size)
        loop = make_loop(training, self.model, self.optimizer, whole.loss, feed, scope, xla, len(train))
        evaluate = {"validation": make_evaluate(self.model, whole.loss, validation, xla)}
        super().__init__(self.model, self.optimizer, loop, evaluate)
        self.compile_seconds = compile_all(self.loop, self.evaluate)

    def weights(self) -> Arrays:
        """Return copies of all weights of the whole network."""
        weights = {name: value.copy() for name, value in self._whole.items()}
        for name, value in state.capture(state.model_variables(self.model)).items():
            weights[name][self._index(name.removeprefix("model/"))] = value
        return weights

    def _part(self, path: str, value: np.ndarray) -> np.ndarray:
        return value[self._index(path)]

    def _index(self, path: str) -> tuple[np.ndarray, ...]:
        layer, _, variable = path.rpartition("/")
        position = self._names.index(layer)
        inputs, units = self._alive[position], self._alive[position + 1]
        return np.ix_(inputs, units) if variable == "kernel" else np.ix_(units)


def _optimizer_is_known(training: TrainingConfig) -> bool:
    known = _OPTIMIZERS.get(training.optimizer)
    return (
        known is not None
        and known >= training.optimizer_options.keys()
        and training.optimizer_options.get("epsilon") != 0  # it would divide zero by zero
        and not training.weight_decay
        and training.precision == "float32"
    )


def _is_chain(model: keras.Model) -> bool:
    """Return whether a model is a chain of Dense layers with ReLU in between, perhaps after a Flatten."""
    if not isinstance(model, keras.Sequential):
        return False
    layers = list(model.layers)
    if layers and type(layers[0]) is keras.layers.Flatten and layers[0].data_format == "channels_last":
        layers = layers[1:]
    if not all(
        isinstance(layer, PrunableLayer) and type(layer.layer) is keras.layers.Dense for layer in layers
    ):
        return False
    configs = [layer.layer.get_config() for layer in layers]
    excluded = ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "bias_constraint")
    return (
        len(model.inputs) == 1
        and (len(layers) < len(model.layers) or len(model.input_shape) == 2)
        and all(layer.layer.activation is keras.activations.relu for layer in layers[:-1])
        and all(config.get(name) is None for config in configs for name in excluded)
        and all(
            config.get("lora_rank") is None and config.get("quantization_config") is None
            for config in configs
        )
        and all(layer.trainable and layer.layer.trainable for layer in layers)
        and not any(_constrained(layer.layer.kernel) for layer in layers)
    )


def _constrained(kernel: keras.Variable) -> bool:
    return type(kernel.constraint).__module__ != "tf_lottery.layers.masking"


def _hidden_biases_are_zero(model: keras.Model) -> bool:
    hidden = [layer.layer for layer in model.layers if isinstance(layer, PrunableLayer)][:-1]
    return all(not layer.use_bias or not np.any(layer.bias.numpy()) for layer in hidden)


def _smaller(model: keras.Model, alive: list[np.ndarray]) -> keras.Model:
    stack: list[keras.Layer] = [keras.Input((len(alive[0]),))]
    dense = [layer.layer for layer in model.layers if isinstance(layer, PrunableLayer)]
    for layer, units in zip(dense, alive[1:], strict=True):
        config = layer.get_config() | {"units": len(units), "kernel_constraint": None}
        smaller = keras.layers.Dense.from_config(config)
        smaller.activation = layer.activation
        stack.append(smaller)
    return keras.Sequential(stack, name=model.name)


def _columns(split: Split, inputs: np.ndarray) -> Split:
    flat = split.take(slice(None)).reshape(len(split), -1)
    return Split(np.ascontiguousarray(flat[:, inputs]), split.y)
