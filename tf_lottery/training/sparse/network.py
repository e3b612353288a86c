"""`Network`: a Keras network as ops of the sparse engine."""

import keras
import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.layers.graph import has_own_call, nodes_of, unwrapped
from tf_lottery.layers.paths import named_variables
from tf_lottery.pruning.masks import Masks
from tf_lottery.training.sparse.fusion import fused
from tf_lottery.training.sparse.kernels.vector import LANES
from tf_lottery.training.sparse.ops.dropout import Dropout
from tf_lottery.training.sparse.ops.layers import LAYERS
from tf_lottery.training.sparse.ops.op import Context, Op, Unsupported, refuse
from tf_lottery.training.sparse.parameters import Parameters
from tf_lottery.training.sparse.tensor import Tensor, zeros


class Network:
    """A prunable Sequential or Functional network, read once; `start` gives it masks.

    Args:
        model: The network. Its variables are looked at, never read or written.
        batch: The number of examples in a batch.
        dtype: float32 or float64.

    Attributes:
        inputs, outputs: The tensors that it begins and ends with.
        context: What its ops share: parameters, moving statistics.

    Raises:
        Unsupported: If there is no op for a layer, or for a setting of one.
    """

    def __init__(self, model: keras.Model, batch: int, dtype: np.dtype = np.float32):
        groups = -(-batch // LANES)
        live = zeros(groups * LANES, dtype)
        live[:batch] = 1
        names = {id(variable): path for path, variable in named_variables(model).items()}
        self.context = Context(np.dtype(dtype), batch, groups, live, Parameters(dtype), names)
        self._ops: list[Op] = []
        self._read(model)
        if any(tensor.group_step >= 2**31 for tensor in self._tensors()):  # offsets have 32 bits
            raise Unsupported("a layer whose outputs for 64 examples are more than 2**31 numbers")

    def _read(self, model: keras.Model) -> None:
        nodes = nodes_of(model)
        if nodes is None or has_own_call(model):
            raise Unsupported("a model that is neither Sequential nor Functional")
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise Unsupported("a model with several inputs or outputs")
        if model.inputs[0].dtype not in ("float32", self.context.dtype.name):
            raise Unsupported(f"inputs of type {model.inputs[0].dtype}")
        self.inputs = _tensor(self.context, model.inputs[0].shape[1:])
        tensors, seen = {id(model.inputs[0]): self.inputs}, set()
        for node in nodes:
            layer = unwrapped(node.operation)
            if id(layer) in seen:
                raise Unsupported(f"layer {layer.name!r}, which is called more than once")
            seen.add(id(layer))
            given = {name for name, value in node.arguments.kwargs.items() if value is not None}
            if others := given - {"training"}:  # which the model's own takes the place of
                raise Unsupported(f"layer {layer.name!r}, which is called with {', '.join(sorted(others))}")
            inputs = [tensors[id(tensor)] for tensor in node.input_tensors]
            for op in _ops(layer, inputs, self.context):
                self._ops.append(op)
            if len(node.outputs) != 1:
                raise Unsupported(f"layer {layer.name!r}, which has several outputs")
            tensors[id(node.outputs[0])] = self._ops[-1].output
        self.outputs = tensors[id(model.outputs[0])]
        if (self.outputs.rows, self.outputs.columns) != (1, 1):
            raise Unsupported("outputs that aren't vectors")
        self._ops = fused(self._ops, self.outputs)

    def start(self, masks: Masks) -> None:
        """Allocate everything for the weights that remain.

        Args:
            masks: Kernel path -> mask.
        """
        context = self.context
        context.masks, context.parameters = masks, Parameters(context.dtype)
        trained, written = set(), set()
        for op in self._ops:
            op.declare(context)
            if op.trains or any(id(tensor) in trained for tensor in op.inputs):
                trained.add(id(op.output))
        context.parameters.allocate()
        for tensor in self._tensors():
            tensor.allocate(gradient=id(tensor) in trained)
        for op in reversed(self._ops):
            if op.output in op.inputs:
                continue  # it computes nothing
            op.adds = [id(tensor) in written for tensor in op.inputs]
            written |= {id(tensor) for tensor in op.inputs}
        for op in self._ops:
            op.prepare(context)

    def seed(self, arrays: Arrays) -> None:
        """Set the seeds of Dropout layers.

        Args:
            arrays: Variables by name, among them the states of Keras's seed generators.
        """
        for op in self._ops:
            if isinstance(op, Dropout):
                first, second = arrays["model/" + op.path].tolist()
                op.seed = first + (second << 32)

    def forward(self, training: bool, step: int) -> None:
        """Compute the outputs of the batch that `inputs` holds."""
        for op in self._ops:
            op.forward(training, step)

    def backward(self) -> None:
        """Compute the gradients of all parameters from that of the outputs."""
        for op in reversed(self._ops):
            op.backward()

    def _tensors(self) -> list[Tensor]:
        return list({id(t): t for op in self._ops for t in (*op.inputs, op.output)}.values())


def _ops(layer: keras.Layer, inputs: list[Tensor], context: Context) -> list[Op]:
    make = LAYERS.get(type(layer))
    kind = type(layer).__name__
    if make is None:
        raise Unsupported(f"layer {getattr(layer, 'name', kind)!r} ({kind})")
    if layer.weights and not layer.trainable:
        raise Unsupported(f"layer {layer.name!r}, which is frozen")
    if layer.compute_dtype != context.dtype.name or layer.variable_dtype != context.dtype.name:
        raise Unsupported(f"layer {layer.name!r}, which has a dtype of its own")
    try:
        refuse(layer, "activity_regularizer")
        return make(layer, inputs, context)
    except Unsupported as error:
        raise Unsupported(f"{error} of layer {layer.name!r} ({kind})") from None


def _tensor(context: Context, shape: tuple) -> Tensor:
    if None in shape or len(shape) not in (1, 3):
        raise Unsupported(f"inputs of shape {tuple(shape)}")
    rows, columns, channels = shape if len(shape) == 3 else (1, 1, *shape)
    return context.tensor(channels, rows, columns)
