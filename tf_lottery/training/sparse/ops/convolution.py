"""Convolutions of images."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from tf_lottery.training.sparse.kernels.elementwise import gate_and_sum
from tf_lottery.training.sparse.kernels.multiply import correlate
from tf_lottery.training.sparse.kernels.products import products_of_places
from tf_lottery.training.sparse.kernels.vector import LANES, WIDTH
from tf_lottery.training.sparse.ops.op import Context, Op, part_view
from tf_lottery.training.sparse.structure import connections
from tf_lottery.training.sparse.tensor import Tensor, zeros

_BLOCK = 32
"""How many channels a pass reads, so that what a few places read of them stays in the cache."""
_CHUNK = 4096
"""About how many weights' partial sums lie in the cache."""


@dataclass(frozen=True)
class Axis:
    """A convolution along rows or columns.

    Output `o` reads input `o * stride - before + tap * dilation` for each tap of the kernel.

    Attributes:
        inputs: The number of inputs.
        taps, stride, dilation: Of the kernel.
        same: Whether the padding is Keras's `same`; else it is `valid`.
    """

    inputs: int
    taps: int
    stride: int
    dilation: int
    same: bool

    @property
    def span(self) -> int:
        """How many inputs lie under the kernel, those between its taps included."""
        return (self.taps - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return -(-(self.inputs if self.same else self.inputs - self.span + 1) // self.stride)

    @property
    def before(self) -> int:
        """How many zeros lie before the first input. Of an odd number, `same` has one more behind."""
        return max((self.outputs - 1) * self.stride + self.span - self.inputs, 0) // 2 if self.same else 0

    def border(self) -> tuple[int, int]:
        """Return how many zeros before and behind the inputs are read."""
        last = (self.outputs - 1) * self.stride - self.before + self.span - 1
        return self.before, max(last - self.inputs + 1, 0)

    def reads(self, phase: int) -> dict[int, int]:
        """Return the taps by which inputs `phase + q * stride` are read -> the first's output."""
        first = {tap: phase + self.before - tap * self.dilation for tap in range(self.taps)}
        return {tap: at // self.stride for tap, at in first.items() if at % self.stride == 0}

    def size(self, phase: int) -> int:
        """Return the number of inputs `phase + q * stride`."""
        return max(-(-(self.inputs - phase) // self.stride), 0)

    def gradient_border(self) -> tuple[int, int]:
        """Return how many outputs before the first and behind the last the gradient of the inputs reads."""
        ends = [
            (output, output + self.size(phase) - 1)
            for phase in range(min(self.stride, self.inputs))
            for output in self.reads(phase).values()
        ]
        return max(0, *(-first for first, _ in ends)), max(0, *(last - self.outputs + 1 for _, last in ends))


class Conv2D(Op):
    """A Conv2D layer, with ReLU or without."""

    trains = True

    def __init__(self, layer: keras.layers.Conv2D, inputs: list[Tensor], context: Context, relu: bool):
        x, same = inputs[0], layer.padding == "same"
        self._rows, self._columns = (
            Axis(size, *of_kernel, same)
            for size, *of_kernel in zip(
                (x.rows, x.columns), layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
            )
        )
        super().__init__(inputs, context.tensor(layer.filters, self._rows.outputs, self._columns.outputs))
        x.widen((*self._rows.border(), *self._columns.border()))
        self.output.widen((*self._rows.gradient_border(), *self._columns.gradient_border()))
        self._relu = relu
        self._kernel = context.names[id(layer.kernel)]
        self._bias = context.names[id(layer.bias)] if layer.use_bias else None

    def declare(self, context: Context) -> None:
        mask = context.masks[self._kernel]
        # By output, then by channel, so that neighbouring weights read neighbouring inputs.
        self._to, self._from, self._row, self._column = np.nonzero(mask.transpose(3, 2, 0, 1))
        positions = np.ravel_multi_index((self._row, self._column, self._from, self._to), mask.shape)
        self._part = context.parameters.add("model/" + self._kernel, len(positions), positions, kernel=True)
        self._bias_part = context.parameters.add("model/" + self._bias, mask.shape[3]) if self._bias else None

    def prepare(self, context: Context) -> None:
        x, y, parameters = self.inputs[0], self.output, context.parameters
        values = part_view(parameters, self._part, parameters.values)
        bias = part_view(parameters, self._bias_part, parameters.values)
        origin = int(x.place(0, -self._rows.before, -self._columns.before))
        offsets = (
            self._from * x.channel_step
            + self._row * self._rows.dilation * x.row_step
            + self._column * self._columns.dilation * x.column_step
        )
        blocks = (self._from // _BLOCK, -(-x.channels // _BLOCK))
        by_output = connections(self._to, offsets, y.channels, blocks=blocks)
        sizes = (x.groups, y.rows, y.columns)
        steps = (x.row_step * self._rows.stride, x.column_step * self._columns.stride)
        strides = (x.group_step, *steps, y.group_step, y.row_step, y.column_step, origin)
        self._forward = (
            *(x.value, y.value, values, None, by_output.offsets, by_output.bounds),
            *(y.starts(), bias, sizes, strides, self._relu, False),
        )
        gradients = parameters.gradients
        self._gate = (
            *(y.value, y.gradient, y.starts(), y.groups, y.group_step, y.rows, y.columns * LANES, y.row_step),
            *(part_view(parameters, self._bias_part, gradients), self._relu),
        )
        chunks, size = _chunks(by_output.bounds)
        self._products = (
            *(
                x.value,
                y.gradient,
                part_view(parameters, self._part, gradients),
                zeros(size * WIDTH, x.dtype),
            ),
            *(by_output.offsets, by_output.bounds, chunks, y.starts(), sizes, strides),
        )
        self._backward = [] if x.gradient is None else list(self._phases(values))

    def _phases(self, values: np.ndarray) -> Iterator[tuple]:
        """Yield `correlate`'s arguments for each class of inputs, those that the same taps reach."""
        x, y = self.inputs[0], self.output
        blocks = (self._to // _BLOCK, -(-y.channels // _BLOCK))
        for row in range(min(self._rows.stride, x.rows)):
            for column in range(min(self._columns.stride, x.columns)):
                to_row, to_column = self._rows.reads(row), self._columns.reads(column)
                chosen = np.flatnonzero(
                    np.isin(self._row, list(to_row)) & np.isin(self._column, list(to_column))
                )
                if self.adds[0] and not len(chosen):
                    continue
                rows = np.array([to_row.get(tap, 0) for tap in range(self._rows.taps)])[self._row]
                columns = np.array([to_column.get(tap, 0) for tap in range(self._columns.taps)])[self._column]
                offsets = y.place(self._to, rows, columns)
                by_input = connections(self._from, offsets, x.channels, chosen, blocks)
                sizes = (x.groups, self._rows.size(row), self._columns.size(column))
                steps = (x.row_step * self._rows.stride, x.column_step * self._columns.stride)
                yield (
                    *(y.gradient, x.gradient, values, by_input.order, by_input.offsets, by_input.bounds),
                    *(x.place(np.arange(x.channels), row, column), None, sizes),
                    *(
                        (y.group_step, y.row_step, y.column_step, x.group_step, *steps, 0),
                        False,
                        self.adds[0],
                    ),
                )

    def forward(self, training: bool, step: int) -> None:
        correlate(*self._forward)

    def backward(self) -> None:
        gate_and_sum(*self._gate)
        products_of_places(*self._products)
        for phase in self._backward:
            correlate(*phase)


def _chunks(bounds: np.ndarray) -> tuple[np.ndarray, int]:
    """Return where chunks of outputs begin, the end included, and the most weights of a chunk in a block."""
    counts = np.diff(bounds, axis=0)
    chunks, held = [0], np.zeros(len(counts), np.int64)
    size = 0
    for output, count in enumerate(counts.T):
        if output > chunks[-1] and (held + count).max() > _CHUNK:
            chunks.append(output)
            held = np.zeros_like(held)
        held = held + count
        size = max(size, int(held.max()))
    return np.array([*chunks, counts.shape[1]]), size
