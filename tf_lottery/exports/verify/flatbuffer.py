"""Reading the weights of a `.tflite` file from the flatbuffer, and proving that pruned weights are zero."""

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
"""The least likeness of a kernel and its tensor. It is about 1 after quantization, and far less by chance."""


@dataclass(frozen=True)
class Tensor:
    """A constant tensor with two or more dimensions.

    Attributes:
        name: The name that the converter gave it.
        values: The values as they are stored; those of a sparse tensor are made dense.
        scales: What stored values are multiplied by, one number or one for each channel; empty if the tensor
            isn't quantized.
        zero_points: The stored values that mean 0.0, one or one for each channel.
        axis: The axis of the channels that have their own scales.
    """

    name: str
    values: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @property
    def steps(self) -> np.ndarray:
        """The difference of each stored value from the one that means 0.0."""
        zero = self.zero_points if len(self.zero_points) else np.zeros(1, np.int64)
        return self.values.astype(np.float64) - self._along(zero)

    @property
    def real(self) -> np.ndarray:
        """The weights that the file computes with."""
        return self.steps * (self._along(self.scales) if len(self.scales) else 1.0)

    def _along(self, by_channel: np.ndarray) -> np.ndarray:
        shape = [1] * self.values.ndim
        if len(by_channel) > 1:
            shape[self.axis] = len(by_channel)
        return by_channel.reshape(shape)


def weight_tensors(file: str | Path | bytes) -> list[Tensor]:
    """Return the constants of a `.tflite` file that have two or more dimensions.

    Args:
        file: The path of the file, or its contents.

    Raises:
        LotteryError: If it isn't a `.tflite` file, or if it is damaged.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    if not isinstance(file, bytes) and not Path(file).is_file():
        raise LotteryError(f"Expected a .tflite file. Received: {file}, which doesn't exist")
    content = file if isinstance(file, bytes) else Path(file).read_bytes()
    if content[4:8] != _IDENTIFIER:
        source = "bytes" if isinstance(file, bytes) else file
        raise LotteryError(f"Expected a .tflite file. Received: {source} of another format")
    try:
        return list(_tensors(schema.Model.GetRootAs(content, 0)))
    except Exception as error:  # reading a damaged flatbuffer may raise anything
        raise LotteryError(
            f"The .tflite file is damaged ({type(error).__name__}). Export the model again."
        ) from error


def check_zeros(file: str | Path | bytes, kernels: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Prove that every weight that is 0.0 in a model is exactly zero in its file.

    Args:
        file: The path of a `.tflite` file, or its contents.
        kernels: Path -> array, as Keras has them.

    Returns:
        Path -> the number of zeros that were checked.

    Raises:
        LotteryError: If a pruned weight became nonzero, or if a kernel isn't found in the file.
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
                f"The file has no tensor that resembles {path} of shape {kernel.shape}. The remaining "
                f"tensors have shapes {', '.join(str(tensor.values.shape) for tensor in tensors) or 'none'}"
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
    """Yield the tensor's steps and real values in a kernel's layout, and the kernel's number of channels.

    Yield once for each layout in which the tensor can be a kernel of this shape.
    """
    both, last = (tensor.steps, tensor.real), shape[-1]
    for axes in _LAYOUTS.get(len(shape), ()):
        if len(axes) == tensor.values.ndim and tuple(tensor.values.shape[axis] for axis in axes) == shape:
            yield *(np.transpose(each, axes) for each in both), last
    if len(shape) == 4 and tensor.values.ndim == 4 and tensor.values.shape[0] == 1:
        depthwise = (shape[0], shape[1], shape[2] * shape[3])
        if tensor.values.shape[1:] == depthwise:  # (1, height, width, channels x multiplier)
            yield *(each.reshape(shape) for each in both), depthwise[2]
    if len(shape) == 3 and tensor.values.ndim == 2:  # attention, as a product of matrices
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
    2: [(1, 0), (0, 1)],  # fully connected: (units, inputs); a product of matrices: as in Keras
    3: [(0, 1, 2)],
    4: [(1, 2, 3, 0), (1, 2, 0, 3)],  # convolution: (filters, height, width, inputs), also if transposed
}


def _likeness(real: np.ndarray, kernel: np.ndarray, channels: int) -> float:
    """Return the mean cosine of the channels of two arrays, weighted by their norm in the kernel: 0 to 1.

    Channels are compared one by one and without sign, since batch normalization scales each when it is
    folded. A kernel of zeros resembles an array of zeros only.
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
            quantization = tensor.Quantization()
            scales, zeros, axis = np.zeros(0), np.zeros(0, np.int64), 0
            if quantization is not None and quantization.ScaleLength():
                scales, zeros = quantization.ScaleAsNumpy(), quantization.ZeroPointAsNumpy()
                axis = quantization.QuantizedDimension()
            yield Tensor(tensor.Name().decode(), values, np.asarray(scales), np.asarray(zeros), axis)


def _expanded(stored: np.ndarray, shape: tuple[int, ...], sparsity: Any) -> np.ndarray:
    """Return a sparse tensor made dense. Its dimensions come in the order of traversal, blocks last."""
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
    """Return a vector of indices from a union of types, which the generated schema doesn't decode."""
    from flatbuffers import number_types

    flags = {1: number_types.Int32Flags, 2: number_types.Uint16Flags, 3: number_types.Uint8Flags}[kind]
    return table.GetVectorAsNumpy(flags, number_types.UOffsetTFlags.py_type(table.Offset(4))).astype(np.int64)
