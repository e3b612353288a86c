"""The first kernel of a model: the one whose weights read the input, each number by itself."""

import math
from dataclasses import dataclass

import keras
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.layers.elementwise import is_elementwise
from tf_lottery.layers.graph import has_own_call, nodes_of, unwrapped
from tf_lottery.layers.kernels import PrunableChoice

_RESHAPING = (layers.Flatten, layers.Reshape)
_PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
_ELEMENTWISE = (
    *(layers.Identity, layers.Rescaling, layers.Normalization, layers.BatchNormalization),
    *(layers.ActivityRegularization, layers.PReLU),
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise),
)
"""Layers whose outputs are each made of one input, beside activations. All leave the order as it is."""
_CONVOLUTIONS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
)


@dataclass(frozen=True)
class FirstKernel:
    """The kernel that reads a model's input.

    Attributes:
        path: Its path, as masks have it.
        convolution: Whether it moves over positions: then its axes are those of a position, its input
            channels and its outputs. Otherwise they are the input's numbers, by rows, and its outputs.
    """

    path: str
    convolution: bool


def first_kernel(model: keras.Model, frozen: bool = False) -> FirstKernel:
    """Return the kernel that reads a model's input: of a Dense layer, or of a convolution.

    Before it there may be layers that leave each number in its place, and zeros around a convolution's input.

    Args:
        model: A plain or prunable Sequential or Functional model.
        frozen: Whether frozen kernels are prunable, too.

    Raises:
        LotteryError: If the model has no such kernel, in one line that says why.
    """
    tensors, nodes = getattr(model, "inputs", None) or [], nodes_of(model)
    if nodes is None or has_own_call(model):
        raise _refused("the model is neither Sequential nor Functional")
    if len(tensors) != 1:
        raise _refused(f"the model has {len(tensors)} inputs")
    read, padded, readers = {id(tensors[0])}, set(), []
    for node in nodes:
        sources = {id(tensor) for tensor in node.input_tensors}
        if not sources & read:
            continue
        operation = unwrapped(node.operation)
        if _leaves_in_place(operation, node):
            read.add(id(node.outputs[0]))
            if sources & padded or type(operation) in _PADDING:
                padded.add(id(node.outputs[0]))
        else:
            readers.append((operation, node))
    if not readers:
        raise _refused("no layer multiplies the input by weights")
    if len(readers) > 1:
        raise _refused(f"several layers read the input: {', '.join(each.name for each, _ in readers)}")
    ((layer, node),) = readers
    if (calls := sum(unwrapped(each.operation) is layer for each in nodes)) > 1:
        raise _refused(f"{layer.name} is called {calls} times")
    convolution = _is_convolution(layer)
    if not convolution and type(layer) is not layers.Dense:
        raise _refused(f"the input is read by {layer.name} ({type(layer).__name__})")
    size, shape = math.prod(tensors[0].shape[1:]), node.input_tensors[0].shape
    if not convolution and (len(shape) != 2 or shape[-1] != size or id(node.input_tensors[0]) in padded):
        raise _refused(f"{layer.name} reads the last axis of {tuple(shape[1:])} only, or a padded input")
    kernels = PrunableChoice(frozen=frozen).kernels_of(model)
    paths = [path for path, kernel in kernels.items() if kernel is layer.kernel]
    if not paths:
        raise _refused(f"{layer.name}, which reads the input, isn't prunable")
    return FirstKernel(paths[0], convolution)


def _leaves_in_place(operation: keras.Operation, node) -> bool:
    """Return whether each number of a node's input is one of its output's, in the same order."""
    if len(node.input_tensors) != 1 or len(node.outputs) != 1:
        return False
    kind, before, after = type(operation), node.input_tensors[0].shape, node.outputs[0].shape
    if getattr(operation, "data_format", None) == "channels_first":
        return False  # Flatten moves the channels
    if kind in (*_RESHAPING, *_PADDING):
        return True
    return (kind in _ELEMENTWISE or is_elementwise(operation)) and before == after


def _is_convolution(layer: keras.Operation) -> bool:
    return (
        type(layer) in _CONVOLUTIONS
        and layer.data_format == "channels_last"
        and getattr(layer, "groups", 1) == 1
    )


def _refused(why: str) -> LotteryError:
    return LotteryError(
        f"Expected a network whose input is read by one Dense layer or convolution. Received: {why}."
    )
