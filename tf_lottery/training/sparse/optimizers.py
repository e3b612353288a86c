"""The optimizers of the sparse engine: Keras's formulas, for the weights that remain.

To add one, write a subclass of `Update` and its kernel, and add a line to `OPTIMIZERS`.
"""

from typing import ClassVar

import keras
import numpy as np

from tf_lottery.config import TrainingConfig
from tf_lottery.training.optimizers import make_optimizer
from tf_lottery.training.sparse.kernels import update as kernels
from tf_lottery.training.sparse.parameters import Parameters
from tf_lottery.training.sparse.rules import cast, largest_norm, stretches, whole_vectors

_COMMON = ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
_WITHOUT_EFFECT = ("name", "ema_momentum", "ema_overwrite_frequency")  # since use_ema is refused
_OFF = {
    "use_ema": (None, False),
    "gradient_accumulation_steps": (None, 0),
    "loss_scale_factor": (None,),
}


def unsupported(training: TrainingConfig) -> str | None:
    """Return the first setting that the sparse engine lacks, as a short clause; None if it has all of them.

    A setting that Keras refuses counts as one that is lacking, so that Keras's error is the one that is seen.
    """
    if training.optimizer not in OPTIMIZERS:
        return f"optimizer {training.optimizer}"
    if training.precision not in ("float32", "float64"):
        return f"precision {training.precision}"
    own = OPTIMIZERS[training.optimizer].options
    for name, value in training.optimizer_options.items():
        number = isinstance(value, (int, float))
        has = (
            (name in own and number)
            or (name in _COMMON and (number or value is None))
            or name in _WITHOUT_EFFECT
            or (name in _OFF and value in _OFF[name])
        )
        if not has:
            return f"optimizer_options.{name}"
    epsilon = training.optimizer_options.get("epsilon")
    if epsilon is not None and not np.dtype(training.precision).type(epsilon) > 0:
        return f"optimizer_options.epsilon {epsilon}"  # 0 / 0 where a gradient is always 0
    return None


class Update:
    """An optimizer: it changes all parameters by their gradients.

    Args:
        training: The settings.
        parameters: The parameters, with their arrays allocated.
        optimizer: A Keras optimizer with these settings, whose attributes say what each of them is.

    Attributes:
        slots: Flat arrays by slot. They can be written in place, to restore a state.
        iteration: The number of steps so far, as Keras's `optimizer.iterations`.
    """

    options: ClassVar[tuple[str, ...]] = ()
    """The optimizer's own options, beside those that all of them have."""

    def __init__(
        self, training: TrainingConfig, parameters: Parameters, optimizer: keras.optimizers.Optimizer
    ):
        self.slots: dict[str, np.ndarray] = {}
        self.iteration = 0
        self._parameters = parameters
        self._norm, self._together = largest_norm(optimizer)
        self._ends, self._rules = stretches(training, optimizer, parameters)
        self._padding = np.concatenate(
            [np.arange(part.last, whole_vectors(part.last)) for part in parameters.parts] or [np.arange(0)]
        )

    def step(self, learning_rate: float) -> None:
        """Take a step.

        Args:
            learning_rate: The step's rate, rounded to float32 as Keras's variable is.
        """
        if self._norm:
            flat = self._parameters
            kernels.clip_by_norm(
                flat.values, flat.gradients, self._ends, self._rules, self._norm, self._together
            )
        self._move(learning_rate)
        if self._norm:  # a norm that isn't finite makes NaN of 0.0
            for array in (self._parameters.values, *self.slots.values()):
                array[self._padding] = 0
        self.iteration += 1

    def _move(self, learning_rate: float) -> None:
        """Change values and slots by the gradients, after the rules."""
        raise NotImplementedError

    def _add_slot(self, name: str) -> None:
        self.slots[name] = self._parameters.like()


class SGD(Update):
    """Gradient descent, with momentum or without."""

    options = ("momentum", "nesterov")

    def __init__(
        self, training: TrainingConfig, parameters: Parameters, optimizer: keras.optimizers.Optimizer
    ):
        super().__init__(training, parameters, optimizer)
        self._momentum = cast(optimizer.momentum, parameters.dtype)
        self._nesterov = bool(optimizer.nesterov)
        if optimizer.momentum:
            self._add_slot("momentum")

    def _move(self, learning_rate: float) -> None:
        flat, slots = self._parameters, self.slots
        arguments = self._ends, self._rules, learning_rate
        if slots:
            arguments = *arguments, self._momentum, self._nesterov
            kernels.descend_with_momentum(flat.values, flat.gradients, slots["momentum"], *arguments)
        else:
            kernels.descend(flat.values, flat.gradients, *arguments)


class Adam(Update):
    """Adam, AMSGrad and AdamW."""

    options = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self, training: TrainingConfig, parameters: Parameters, optimizer: keras.optimizers.Optimizer
    ):
        super().__init__(training, parameters, optimizer)
        betas = optimizer.beta_1, optimizer.beta_2
        powers = [cast(beta, parameters.dtype) for beta in betas]
        self._constants = np.array(
            [*powers, *(1 - beta for beta in betas), optimizer.epsilon], parameters.dtype
        )
        for slot in ("momentum", "velocity", *(("velocity_hat",) if optimizer.amsgrad else ())):
            self._add_slot(slot)

    def _move(self, learning_rate: float) -> None:
        flat, slots = self._parameters, self.slots
        kernels.adapt(
            flat.values,
            flat.gradients,
            slots["momentum"],
            slots["velocity"],
            slots.get("velocity_hat"),
            self._ends,
            self._rules,
            learning_rate,
            self.iteration + 1,
            self._constants,
        )


OPTIMIZERS: dict[str, type[Update]] = {
    "adam": Adam,
    "adamw": Adam,
    "sgd": SGD,
}


def make_update(training: TrainingConfig, parameters: Parameters) -> Update:
    """Return the optimizer of a study, at its first step.

    Args:
        training: Settings that are supported.
        parameters: The parameters, with their arrays allocated.

    Raises:
        LotteryError: As `make_optimizer` does.
    """
    return OPTIMIZERS[training.optimizer](training, parameters, make_optimizer(training))
