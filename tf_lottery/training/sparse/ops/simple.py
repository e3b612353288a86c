"""Layers that compute nothing."""

from tf_lottery.training.sparse.ops.op import Op
from tf_lottery.training.sparse.tensor import Tensor


class Flatten(Op):
    """A Flatten layer or another that changes no number: its output is its input, in Keras's order.

    So a tensor may be an image that Keras takes for a vector: ops compare sizes of weights with those of
        tensors.
    """

    def __init__(self, inputs: list[Tensor]):
        super().__init__(inputs, inputs[0])
