"""BatchNormalization layers."""

import keras
import numpy as np

from tf_lottery.training.sparse.kernels.normalization import normalize, normalize_gradient
from tf_lottery.training.sparse.ops.merging import adds_in_order
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported, part_view, refuse
from tf_lottery.training.sparse.tensor import Tensor


class BatchNormalization(Op):
    """A BatchNormalization layer, with the sum and the ReLU that follow it or without (see `fusion`).

    Attributes:
        relu: Whether there is a ReLU.
    """

    def __init__(self, layer: keras.layers.BatchNormalization, inputs: list[Tensor], context: Context):
        x = inputs[0]
        super().__init__(inputs, context.tensor(x.channels, x.rows, x.columns))
        self.trains, self.relu = bool(layer.scale or layer.center), False
        names = context.names
        self._gamma = names[id(layer.gamma)] if layer.scale else None
        self._beta = names[id(layer.beta)] if layer.center else None
        self._moving = [names[id(layer.moving_mean)], names[id(layer.moving_variance)]]
        self._constants = tuple(
            context.dtype.type(number) for number in (layer.momentum, 1.0 - layer.momentum, layer.epsilon)
        )

    def absorb(self, output: Tensor, other: Tensor | None = None) -> None:
        """Take on the ReLU that follows, and the sum with another tensor before it.

        Args:
            output: The output of the ReLU.
            other: The other tensor; None for no sum.
        """
        self.output, self.relu = output, True
        if other is not None:
            self.inputs = [self.inputs[0], other]
        self.adds = [False] * len(self.inputs)

    def declare(self, context: Context) -> None:
        channels = self.output.channels
        add = context.parameters.add
        self._parts = [add("model/" + path, channels) if path else None for path in (self._gamma, self._beta)]
        for path, initial in zip(self._moving, (0.0, 1.0), strict=True):
            context.statistics["model/" + path] = np.full(channels, initial, context.dtype)

    def prepare(self, context: Context) -> None:
        x, y, other = self.inputs[0], self.output, (*self.inputs, None)[1]
        parameters, channels = context.parameters, y.channels
        # What isn't trained is a constant, whose gradient nobody reads.
        gamma, beta = (
            np.full(channels, fixed, context.dtype)
            if part is None
            else part_view(parameters, part, parameters.values)
            for part, fixed in zip(self._parts, (1.0, 0.0), strict=True)
        )
        gradients = tuple(
            np.zeros(channels, context.dtype)
            if part is None
            else part_view(parameters, part, parameters.gradients)
            for part in self._parts
        )
        moving = tuple(context.statistics["model/" + path] for path in self._moving)
        batch = np.zeros(channels, context.dtype), np.ones(channels, context.dtype)
        other_value, other_steps = (None, y.steps) if other is None else (other.value, other.steps)
        self._forward = (
            *(x.value, x.steps, y.value, y.steps, other_value, other_steps, y.sizes),
            *(context.live, gamma, beta, moving, batch, self._constants),
        )
        # The gradient of what was added is written first.
        adds = adds_in_order(self, first=len(self.inputs) - 1)
        self._backward = None
        if y.gradient is not None:
            self._backward = (
                *(x.value, x.gradient, x.steps, y.value, y.gradient, y.steps),
                *(other.gradient if other is not None else None, other_steps, y.sizes, context.live),
                *(gamma, batch, gradients, self.relu, (adds[0], adds[-1])),
            )

    def forward(self, training: bool, step: int) -> None:
        normalize(*self._forward, training, self.relu)

    def backward(self) -> None:
        if self._backward:
            normalize_gradient(*self._backward)


def batch_normalization(
    layer: keras.layers.BatchNormalization, inputs: list[Tensor], context: Context
) -> list[Op]:
    """Return the ops of a BatchNormalization layer."""
    refuse(layer, "gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint")
    refuse(layer, "activity_regularizer")
    if getattr(layer, "renorm", False) or layer.synchronized:
        raise Unsupported("renorm or synchronized")
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        raise Unsupported("axis")
    if layer.moving_mean.shape[0] != inputs[0].channels:
        raise Unsupported("inputs that are images made vectors")
    return [BatchNormalization(layer, inputs, context)]
