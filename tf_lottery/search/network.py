"""The network of a search: built once, brought to the start of each run."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, mask_slots, set_masks
from tf_lottery.layers.compiled import compile_like, compile_settings
from tf_lottery.layers.convert import make_prunable, strip
from tf_lottery.layers.copying import rebuild
from tf_lottery.layers.in_place import PrunableModel
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.correspond import correspond
from tf_lottery.pruning.masks import Masks
from tf_lottery.seeding import derive
from tf_lottery.training import state

_PREFIX = "model/"


class Network:
    """A compiled prunable model, and how to build its plain one again.

    Args:
        model: a built and compiled plain model, or a function that returns one.
        seed: of the search, from which a function's weights follow.
        choice: of `make_prunable`: include, exclude, kernels.

    Attributes:
        model: prunable.
        theta_0: what the weights at step 0 are, in words.
        architecture: JSON that builds the plain model, None if Keras can't write it.
        initial: the weights at step 0.
    """

    def __init__(self, model: keras.Model | Callable[[], keras.Model], seed: int, choice: Mapping[str, Any]):
        self._build = None if isinstance(model, keras.Model) else model
        if self._build is not None:
            if not callable(model):
                raise LotteryError(
                    f"Expected a Keras model, or a function that builds one. Received: {type(model).__name__}"
                )
            model = self._built(derive(seed, 0, "init"))
        compile_settings(model)
        taken = 0 if model.optimizer is None or not model.optimizer.built else int(model.optimizer.iterations)
        self.theta_0 = _theta_0(self._build is not None, seed, taken)
        self.architecture = _architecture(model)
        self.plain_class = type(model)
        self.model = make_prunable(model, **choice)
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        # As they are now: callbacks may change the learning rate later.
        self._configs = {id(found): found.get_config() for found in self._optimizers()}
        self._fresh: dict[int, list[np.ndarray]] = {}
        self.variables = state.model_variables(self.model)
        self.initial = self.weights()

    def described(self) -> dict[str, Any]:
        """Return what determines a run, weights aside, as JSON holds it."""
        shapes = {name: list(variable.shape) for name, variable in self.variables.items()}
        settings = compile_settings(self.model)
        return {
            "class": self.plain_class.__name__,
            "architecture": _unnumbered(self.architecture),
            "shapes": [shape for name, shape in shapes.items() if not name.startswith("model/other/")],
            "kernels": [list(mask.shape) for mask in get_masks(self.model).values()],
            "optimizers": [_plain(config) for config in self._configs.values()],
            "loss": _plain(settings.get("loss")),
            "loss_weights": _plain(settings.get("loss_weights")),
            "metrics": _plain(settings.get("metrics")),
        }

    def start_from(self, weights: Arrays) -> None:
        """Take other weights at step 0: those of an earlier call of the search."""
        found = self.renamed(weights, _PREFIX)
        if any(found[name].tobytes() != value.tobytes() for name, value in self.initial.items()):
            self.theta_0 = "the weights that the search began with, kept in its directory"
        self.initial = found

    def weights(self) -> Arrays:
        """Return copies of all weights, masks aside."""
        return state.capture(self.variables)

    def begin(self, masks: Masks, weights: Arrays, step: int) -> None:
        """Set masks, weights and a fresh optimizer at a step of its learning-rate schedule."""
        for optimizer in self._optimizers():
            if optimizer.built:
                self._reset(optimizer, step)
        set_masks(self.model, self.renamed(masks, ""))
        state.restore(self.variables, self.renamed(weights, _PREFIX))

    def _reset(self, optimizer: keras.optimizers.Optimizer, step: int) -> None:
        for variable, value in zip(optimizer.variables, self._new(optimizer), strict=True):
            variable.assign(value)
        getattr(optimizer, "inner_optimizer", optimizer)._iterations.assign(step)

    def _new(self, optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
        """Return what an optimizer's variables hold when it is new."""
        if id(optimizer) not in self._fresh:
            twin = type(optimizer).from_config(self._configs[id(optimizer)])
            main = optimizer is self.model.optimizer
            twin.build(self.model.trainable_variables if main else optimizer._trainable_variables)
            self._fresh[id(optimizer)] = [np.array(ops.convert_to_numpy(v)) for v in twin.variables]
        return self._fresh[id(optimizer)]

    def restore_optimizer(self, values: Arrays) -> None:
        """Bring the optimizer's state of a rewind point back, masked."""
        found = list(self.model.optimizer.variables)
        if [tuple(v.shape) for v in found] != [value.shape for value in values.values()]:
            raise LotteryError("Expected the state of this optimizer. Received: another one's")
        for variable, value in zip(found, values.values(), strict=True):
            variable.assign(value)
        mask_slots(self.model.optimizer, self.model)

    def renamed(self, arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
        """Return stored arrays under the names that they have here: Keras may number layers otherwise."""
        here = self.variables if prefix else get_masks(self.model)
        found = correspond(
            {name: np.shape(value) for name, value in arrays.items()},
            {name: tuple(value.shape) for name, value in here.items()},
        )
        if not found.complete:
            raise LotteryError(
                f"Expected the runs of this network. Received: another's ({found.differences()})"
            )
        return {there: arrays[name] for name, there in found.pairs.items()}

    def redrawn(self, seed: int) -> Arrays:
        """Return the weights of a random reinitialization."""
        if self._build is not None:
            plain = self._built(seed)
        else:
            with seeded(seed):
                plain = rebuild(self.model)
        drawn = state.capture(state.model_variables(plain))
        return self.renamed(drawn, _PREFIX)

    def plain(self, masks: Masks, weights: Arrays) -> keras.Model:
        """Return a new plain model with these weights, zeros baked in, compiled as the search's."""
        if isinstance(self.model, PrunableModel):
            copy = self._build() if self._build is not None else rebuild(self.model)
            copy = strip(copy) if isinstance(copy, PrunableModel) else copy
            target = state.model_variables(copy)
            values = dict(zip(target, self.renamed(weights, _PREFIX).values(), strict=True))
            state.restore(target, values)
            return copy if copy.compiled else self._with_new_optimizer(compile_like(self.model, copy))
        kept = get_masks(self.model), self.weights()
        try:
            set_masks(self.model, self.renamed(masks, ""))
            state.restore(self.variables, self.renamed(weights, _PREFIX))
            return self._with_new_optimizer(strip(self.model))
        finally:
            set_masks(self.model, kept[0])
            state.restore(self.variables, kept[1])

    def _with_new_optimizer(self, copy: keras.Model) -> keras.Model:
        if copy.compiled and copy.optimizer is not None:  # its state is that of the last round
            for variable, value in zip(
                copy.optimizer.variables, self._new(self.model.optimizer), strict=True
            ):
                variable.assign(value)
        return copy

    def _built(self, seed: int) -> keras.Model:
        with seeded(seed):
            model = self._build()
        if not isinstance(model, keras.Model) or not model.built:
            raise LotteryError(f"Expected a function that returns a built Keras model. Received: {model!r}")
        return model

    def _optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The model's optimizer, and those that a `train_step` of the user's own has besides."""
        found = {id(self.model.optimizer): self.model.optimizer} if self.model.optimizer else {}
        for value in vars(self.model).values():
            if isinstance(value, keras.optimizers.Optimizer):
                found[id(value)] = value
        return list(found.values())


def _theta_0(built: bool, seed: int, taken: int) -> str:
    if built:
        return f"drawn by the function that builds the model, with seed {seed}"
    if taken:
        return (
            f"the weights of the model as it was given, trained for {taken:,} steps: rewinding goes back to "
            "these pre-trained weights. For a random initialization give a function that builds the model"
        )
    return "the weights of the model as it was given"


def _architecture(model: keras.Model) -> str | None:
    try:
        written = json.loads(model.to_json())
    except Exception:  # a model of the user's own that can't be written
        return None
    written.pop("compile_config", None)  # it may name a loss that no file can hold
    return json.dumps(written)


def _unnumbered(architecture: str | None) -> str | None:
    """Return an architecture's digest, whatever numbers Keras gave its layers (`dense_1`)."""
    if architecture is None:
        return None
    return hashlib.sha256(re.sub(r"_\d+(?=\")", "", architecture).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A setting as JSON holds it: what it is called, where there is more to it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if key != "name"}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    name = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, (keras.losses.Loss, keras.metrics.Metric)):
        with contextlib.suppress(Exception):  # one of the user's own that can't be written
            return {"class": name, **_plain(value.get_config())}
    return name
