"""Dense layers."""

import keras
import numpy as np

from tf_lottery.training.sparse.kernels.elementwise import gate_and_sum
from tf_lottery.training.sparse.kernels.multiply import correlate
from tf_lottery.training.sparse.kernels.products import products
from tf_lottery.training.sparse.kernels.vector import LANES
from tf_lottery.training.sparse.ops.op import Context, Op, part_view
from tf_lottery.training.sparse.structure import connections
from tf_lottery.training.sparse.tensor import Tensor

_BLOCK = 128
"""How many inputs a pass reads, so that they stay in the cache."""
_WORTHWHILE = 20
"""How many weights a target needs in a block, on average, to make up for reading and writing it again."""


class Dense(Op):
    """A Dense layer, with ReLU or without."""

    trains = True

    def __init__(self, layer: keras.layers.Dense, inputs: list[Tensor], context: Context, relu: bool):
        super().__init__(inputs, context.tensor(layer.units))
        self._relu = relu
        self._kernel = context.names[id(layer.kernel)]
        self._bias = context.names[id(layer.bias)] if layer.use_bias else None

    def declare(self, context: Context) -> None:
        mask = context.masks[self._kernel]
        units, self._sources = np.nonzero(mask.T)
        self._units = units
        positions = self._sources.astype(np.int64) * mask.shape[1] + units
        self._part = context.parameters.add("model/" + self._kernel, len(units), positions, kernel=True)
        self._bias_part = context.parameters.add("model/" + self._bias, mask.shape[1]) if self._bias else None

    def prepare(self, context: Context) -> None:
        x, y = self.inputs[0], self.output
        features, starts = x.features(), y.starts()
        values = part_view(context.parameters, self._part, context.parameters.values)
        bias = part_view(context.parameters, self._bias_part, context.parameters.values)
        by_unit = connections(
            self._units,
            features[self._sources],
            y.channels,
            blocks=_blocks(self._sources, len(features), y.channels),
        )
        sizes, steps = (x.groups, 1, 1), (x.group_step, 0, 0, y.group_step, 0, 0, 0)
        self._forward = (
            *(x.value, y.value, values, None, by_unit.offsets, by_unit.bounds),
            *(starts, bias, sizes, steps, self._relu, False),
        )
        gradients = context.parameters.gradients
        self._gate = (
            *(y.value, y.gradient, starts, y.groups, y.group_step, 1, LANES, 0),
            *(part_view(context.parameters, self._bias_part, gradients), self._relu),
        )
        self._products = (
            *(x.value, y.gradient, part_view(context.parameters, self._part, gradients)),
            *(by_unit.offsets, by_unit.bounds, starts, x.groups, x.group_step, y.group_step),
        )
        self._backward = None
        if x.gradient is not None:
            by_source = connections(
                self._sources,
                starts[self._units],
                len(features),
                np.arange(len(values)),
                _blocks(self._units, y.channels, len(features)),
            )
            self._backward = (
                *(y.gradient, x.gradient, values, by_source.order, by_source.offsets, by_source.bounds),
                *(features, None, sizes, (y.group_step, 0, 0, x.group_step, 0, 0, 0), False, self.adds[0]),
            )

    def forward(self, training: bool, step: int) -> None:
        correlate(*self._forward)

    def backward(self) -> None:
        gate_and_sum(*self._gate)
        products(*self._products)
        if self._backward:
            correlate(*self._backward)


def _blocks(sources: np.ndarray, count: int, targets: int) -> tuple[np.ndarray, int] | None:
    """Return the block of each weight and the number of blocks; None for one block."""
    number = -(-count // _BLOCK)
    return (sources // _BLOCK, number) if len(sources) >= _WORTHWHILE * number * targets else None
