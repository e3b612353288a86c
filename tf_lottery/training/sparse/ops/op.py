"""`Op`, one layer's computation; `Context`, what it is prepared with; `Unsupported`, why one isn't made."""

from dataclasses import dataclass, field

import keras
import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.pruning.masks import Masks
from tf_lottery.training.sparse.parameters import Parameters, Part
from tf_lottery.training.sparse.tensor import Tensor


class Unsupported(Exception):
    """The sparse engine lacks something that a network asks for. The message is a clause that names it."""


@dataclass
class Context:
    """What the ops of a network share.

    Attributes:
        dtype: float32 or float64.
        batch: The number of examples in a batch.
        groups: The number of groups of lanes that hold them.
        live: 1.0 for each lane that holds an example, else 0.0; one number for each lane of all groups. It
            changes in place.
        parameters: The weights that are trained.
        statistics: Name -> moving statistics, which change in place.
        masks: Kernel path -> mask.
        names: The id of each variable -> its path.
    """

    dtype: np.dtype
    batch: int
    groups: int
    live: np.ndarray
    parameters: Parameters
    names: dict[int, str]
    statistics: Arrays = field(default_factory=dict)
    masks: Masks = field(default_factory=dict)

    def tensor(self, channels: int, rows: int = 1, columns: int = 1) -> Tensor:
        """Return a tensor for a batch of examples of a shape."""
        return Tensor(channels, rows, columns, self.groups, self.dtype)


class Op:
    """One layer's computation on a batch, in both directions.

    It is made from a layer when the network is read, which says what it lacks; `declare` adds its weights,
    once masks are known; `prepare` follows when tensors and parameters are allocated.

    Attributes:
        inputs: The tensors that it reads.
        output: The tensor that it writes.
        trains: Whether it has weights that are trained.
        adds: For each input, whether its gradient is added to what is there. The network sets it.
    """

    trains = False

    def __init__(self, inputs: list[Tensor], output: Tensor):
        self.inputs, self.output = inputs, output
        self.adds = [False] * len(inputs)

    def declare(self, context: Context) -> None:
        """Add the weights that remain to the context's parameters."""

    def prepare(self, context: Context) -> None:
        """Bind arrays."""

    def forward(self, training: bool, step: int) -> None:
        """Compute the output from the inputs."""

    def backward(self) -> None:
        """Compute the gradients of the weights and, where needed, of the inputs, from that of the output."""


def part_view(parameters: Parameters, part: Part | None, flat: np.ndarray) -> np.ndarray | None:
    """Return a variable's part of a flat array; None for no variable."""
    return None if part is None else flat[part.first : part.last]


def refuse(layer: keras.Layer, *settings: str) -> None:
    """Refuse a layer that has one of these settings.

    Raises:
        Unsupported: If it has.
    """
    for setting in settings:
        if getattr(layer, setting, None) is not None:
            raise Unsupported(setting)
