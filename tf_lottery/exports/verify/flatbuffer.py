"""The weights in a `.tflite` file, read from the flatbuffer itself; and the proof that zeros are zeros."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_lottery.errors import LotteryError

_DTYPES = {0: np.float32, 1: np.float16, 3: np.uint8, 9: np.int8}
_SPARSE = 1
_IDENTIFIER = b"TFL3"

ALIKE = 0.5
"""How much of a kernel's channels its tensor must resemble; quantization leaves about 1, chance much less."""


@dataclass(frozen=True)
class Tensor:
    """A constant with two or more dimensions.

    Attributes:
        name: of the converter.
        values: as stored, a sparse tensor's made dense.
        scales: what a stored number is multiplied by, one or one a channel; empty where it is itself.
        zero_points: the numbers that stand for 0.0.
        axis: of the channels that have scales of their own.
    """

    name: str
    values: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @property
    def steps(self) -> np.ndarray:
        """How far each stored number is from the one that stands for 0.0."""
        zero = self.zero_points if len(self.zero_points) else np.zeros(1, np.int64)
        return self.values.astype(np.float64) - self._along(zero)

    @property
    def real(self) -> np.ndarray:
        """The weights that the file computes with."""
        return self.steps * (self._along(self.scales) if len(self.scales) else 1.0)

    def _along(self, each: np.ndarray) -> np.ndarray:
        shape = [1] * self.values.ndim
        if len(each) > 1:
            shape[self.axis] = len(each)
        return each.reshape(shape)


def weight_tensors(file: str | Path | bytes) -> list[Tensor]:
    """Return the constants of a `.tflite` file that have two or more dimensions.

    Args:
        file: a path, or the contents.

    Raises:
        LotteryError: if it isn't a `.tflite` file.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    if not isinstance(file, bytes) and not Path(file).is_file():
        raise LotteryError(f"Expected a .tflite file. Received: {file}, which isn't there")
    content = file if isinstance(file, bytes) else Path(file).read_bytes()
    if content[4:8] != _IDENTIFIER:
        where = "these bytes" if isinstance(file, bytes) else file
        raise LotteryError(f"Expected a .tflite file. Received: {where}, which isn't one")
    try:
        return list(_tensors(schema.Model.GetRootAs(content, 0)))
    except Exception as error:  # a flatbuffer that is cut off fails anywhere
        raise LotteryError(
            f"Expected a whole .tflite file. Received: one that is damaged ({type(error).__name__})"
        ) from error


def check_zeros(file: str | Path | bytes, kernels: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Prove that every weight that is 0.0 in a model is exactly zero in its file.

    Args:
        file: a `.tflite` file, or its contents.
        kernels: path -> array, as Keras has them.

    Returns:
        Path -> how many zeros were counted.

    Raises:
        LotteryError: a pruned weight that became nonzero, or a kernel that isn't in the file.
    """
    tensors, proven = weight_tensors(file), {}
    for path, kernel in sorted(kernels.items(), key=lambda each: -each[1].size):
        candidates = [
            (tensor, steps, _likeness(real, kernel, channels))
            for tensor in tensors
            for steps, real, channels in _as_keras(tensor, kernel.shape)
        ]
        candidates = [each for each in candidates if each[2] >= ALIKE]
        if not candidates:
            raise LotteryError(
                f"Expected {path} of shape {kernel.shape} in the file. Received: none like it among tensors "
                f"of shapes {', '.join(str(tensor.values.shape) for tensor in tensors) or 'none'}"
            )
        tensor, steps, _ = max(candidates, key=lambda each: each[2])
        zeros = kernel == 0
        if wrong := int(np.count_nonzero(steps[zeros])):
            raise LotteryError(
                f"Expected every pruned weight of {path} to be zero in the file. Received: {wrong:,} of "
                f"{int(zeros.sum()):,} that became nonzero"
            )
        proven[path] = int(zeros.sum())
        tensors = [each for each in tensors if each is not tensor]
    return {path: proven[path] for path in kernels}


def _as_keras(tensor: Tensor, shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield steps and real values in a kernel's layout, and the number of channels that it makes, if they
    can be those of one of its shape."""
    both, last = (tensor.steps, tensor.real), shape[-1]
    for axes in _LAYOUTS.get(len(shape), ()):
        if len(axes) == tensor.values.ndim and tuple(tensor.values.shape[axis] for axis in axes) == shape:
            yield *(np.transpose(each, axes) for each in both), last
    if len(shape) == 4 and tensor.values.ndim == 4 and tensor.values.shape[0] == 1:
        depthwise = (shape[0], shape[1], shape[2] * shape[3])
        if tensor.values.shape[1:] == depthwise:  # (1, height, width, channels x multiplier)
            yield *(each.reshape(shape) for each in both), depthwise[2]
    if len(shape) == 3 and tensor.values.ndim == 2:  # of an attention: a product of matrices
        a, b, c = shape
        for matrix in ((a, b * c), (a * b, c)):
            if tensor.values.shape == matrix:
                yield *(each.reshape(shape) for each in both), matrix[1]
            if tensor.values.shape == matrix[::-1]:
                yield *(each.T.reshape(shape) for each in both), matrix[1]
    if len(shape) == 3 and tensor.values.ndim == 4 and tensor.values.shape[1] == 1:
        for axes in ((1, 2, 0), (1, 0, 2)):  # one-dimensional convolutions; transposed ones
            steps, real = (each[:, 0].transpose(axes) for each in both)
            if steps.shape == shape:
                yield steps, real, last


_LAYOUTS = {
    5: [(0, 1, 2, 3, 4)],
    2: [(1, 0), (0, 1)],  # fully connected: (units, inputs); a product of matrices: as it is
    3: [(0, 1, 2)],
    4: [(1, 2, 3, 0), (1, 2, 0, 3)],  # convolution: (filters, height, width, inputs); transposed, likewise
}


def _likeness(real: np.ndarray, kernel: np.ndarray, channels: int) -> float:
    """Return 0 to 1: how far channels have one direction, each by its size.

    By channel and without sign, since batch normalization scales each when it is folded. A kernel of zeros
    is like one of zeros.
    """
    real, kernel = real.reshape(-1, channels), kernel.reshape(-1, channels).astype(np.float64)
    sizes, norms = np.linalg.norm(kernel, axis=0), np.linalg.norm(real, axis=0)
    if not sizes.any():
        return float(not norms.any())
    cosines = np.abs((real * kernel).sum(axis=0)) / np.maximum(sizes * norms, np.finfo(float).tiny)
    return float(np.sum(cosines * sizes) / sizes.sum())


def _tensors(model: Any) -> Iterator[Tensor]:
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if not isinstance(data, np.ndarray) or tensor.ShapeLength() < 2 or tensor.Type() not in _DTYPES:
                continue
            shape = tuple(int(size) for size in tensor.ShapeAsNumpy())
            stored = np.frombuffer(data.tobytes(), _DTYPES[tensor.Type()])
            sparsity = tensor.Sparsity()
            values = _expanded(stored, shape, sparsity) if sparsity else stored.reshape(shape)
            found = tensor.Quantization()
            scales, zeros, axis = np.zeros(0), np.zeros(0, np.int64), 0
            if found is not None and found.ScaleLength():
                scales, zeros = found.ScaleAsNumpy(), found.ZeroPointAsNumpy()
                axis = found.QuantizedDimension()
            yield Tensor(tensor.Name().decode(), values, np.asarray(scales), np.asarray(zeros), axis)


def _expanded(stored: np.ndarray, shape: tuple[int, ...], sparsity: Any) -> np.ndarray:
    """Return a sparse tensor made dense: dimensions in the order of traversal, blocks last."""
    order = [int(axis) for axis in sparsity.TraversalOrderAsNumpy()]
    blocks = [int(axis) for axis in sparsity.BlockMapAsNumpy()] if sparsity.BlockMapLength() else []
    positions = np.zeros((1, 0), np.int64)
    for level in range(sparsity.DimMetadataLength()):
        dimension = sparsity.DimMetadata(level)
        if dimension.Format() == _SPARSE:
            ends = _vector(dimension.ArraySegmentsType(), dimension.ArraySegments())
            inner = _vector(dimension.ArrayIndicesType(), dimension.ArrayIndices())
            outer = np.repeat(positions, np.diff(ends), axis=0)
        else:
            size = dimension.DenseSize()
            inner = np.tile(np.arange(size), len(positions))
            outer = np.repeat(positions, size, axis=0)
        positions = np.concatenate([outer, inner[:, None]], axis=1)
    places = [positions[:, order.index(axis)] for axis in range(len(shape))]
    for k, axis in enumerate(blocks):
        level = order.index(len(shape) + k)
        places[axis] = places[axis] * sparsity.DimMetadata(level).DenseSize() + positions[:, level]
    dense = np.zeros(shape, stored.dtype)
    dense[tuple(places)] = stored
    return dense


def _vector(kind: int, table: Any) -> np.ndarray:
    """Return a union of vectors of indices, which the generated schema leaves to its reader."""
    from flatbuffers import number_types

    flags = {1: number_types.Int32Flags, 2: number_types.Uint16Flags, 3: number_types.Uint8Flags}[kind]
    return table.GetVectorAsNumpy(flags, number_types.UOffsetTFlags.py_type(table.Offset(4))).astype(np.int64)
