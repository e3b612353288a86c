"""One layer's ops of the sparse engine, side by side with the layer in Keras."""

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.training.sparse.kernels.vector import LANES
from tf_lottery.training.sparse.ops.layers import LAYERS
from tf_lottery.training.sparse.ops.op import Context
from tf_lottery.training.sparse.parameters import Parameters
from tf_lottery.training.sparse.tensor import Tensor

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
BORDER = (1, 2, 2, 1)


class Run:
    """A layer's ops on tensors of their own, which have borders, gradients and lanes without an example."""

    def __init__(self, layer, shapes, batch, dtype, adds=False, gradients=True):
        groups = -(-batch // LANES)
        live = np.zeros(groups * LANES, dtype)
        live[:batch] = 1
        symbols = [keras.Input(shape, dtype=dtype) for shape in shapes]
        layer(symbols if len(symbols) > 1 else symbols[0])
        variables = [*layer.weights, *(seed.state for seed in getattr(layer, "_seed_generators", []))]
        names = {id(variable): variable.path for variable in variables}
        self.layer, self.batch, self.dtype = layer, batch, dtype
        self.context = Context(np.dtype(dtype), batch, groups, live, Parameters(np.dtype(dtype)), names)
        self.inputs = [self.context.tensor(*image(shape)) for shape in shapes]
        self.ops = LAYERS[type(layer)](layer, self.inputs, self.context)
        self.output = self.ops[-1].output
        for op in self.ops:
            op.adds = [adds] * len(op.inputs)
            op.declare(self.context)
        self.context.parameters.allocate()
        for tensor in {*self.inputs, self.output, *(t for op in self.ops for t in op.inputs)}:
            tensor.widen(BORDER if tensor.rows > 1 else (0, 0, 0, 0))
            tensor.allocate(gradient=gradients)
        self.take_weights()
        for op in self.ops:
            op.prepare(self.context)

    def take_weights(self):
        values = {"model/" + v.path: np.asarray(v) for v in self.layer.trainable_variables}
        self.context.parameters.read(values, self.context.parameters.values)
        for variable in self.layer.non_trainable_variables:
            name = "model/" + variable.path
            if name in self.context.statistics:
                self.context.statistics[name][:] = np.asarray(variable)

    def forward(self, arrays, training=True, step=0):
        for tensor, array in zip(self.inputs, arrays, strict=True):
            # Lanes without an example hold one that isn't counted, as in the engine.
            put(tensor, tensor.value, array, beyond=array[0])
        for op in self.ops:
            op.forward(training, step)
        return get(self.output, self.output.value, self.batch)

    def backward(self, gradient):
        put(self.output, self.output.gradient, gradient, beyond=0)
        for op in reversed(self.ops):
            op.backward()
        return [get(tensor, tensor.gradient, self.batch) for tensor in self.inputs]


def image(shape):
    """Return the channels, rows and columns of an example's shape."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else (*shape, 1, 1)


def put(tensor: Tensor, flat, array, beyond):
    """Write examples into a tensor, and something else into the lanes beyond them."""
    whole = np.zeros((tensor.groups * LANES, tensor.rows, tensor.columns, tensor.channels), tensor.dtype)
    shape = whole.shape[1:]
    whole[:] = np.reshape(beyond, shape) if np.ndim(beyond) else beyond
    whole[: len(array)] = array.reshape(-1, *shape)
    tensor.interior(flat)[:] = whole.reshape(tensor.groups, LANES, *shape).transpose(0, 4, 2, 3, 1)


def get(tensor: Tensor, flat, batch):
    """Return the examples of a tensor; its border must still be zeros."""
    inner = tensor.interior(flat)
    assert np.count_nonzero(flat) == np.count_nonzero(inner)
    whole = inner.transpose(0, 4, 2, 3, 1).reshape(-1, tensor.rows, tensor.columns, tensor.channels)
    return whole[:batch]


def near(got, wanted, dtype, scale=1.0):
    """Compare numbers, relative to the largest."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    wanted = wanted.reshape(got.shape)
    assert np.isfinite(got).all()
    limit = scale * TOLERANCES[dtype] * max(1e-30, abs(wanted).max())
    assert abs(got - wanted).max() <= limit, (abs(got - wanted).max(), abs(wanted).max())


def check(layer, shapes, arrays=None, batch=60, dtype="float64", adds=False):
    """Compare outputs and gradients of the inputs in training with those of Keras; return the run."""
    random = np.random.default_rng(0)
    run = Run(layer, shapes, batch, dtype, adds)
    if arrays is None:
        arrays = [random.normal(size=(batch, *shape)) for shape in shapes]
    arrays = [array.astype(dtype) for array in arrays]
    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        outputs = layer(tensors if len(tensors) > 1 else tensors[0], training=True)
    gradient = random.normal(size=outputs.shape).astype(dtype)
    wanted = tape.gradient(outputs, [*tensors, *(v.value for v in layer.trainable_variables)], gradient)
    near(run.forward(arrays), outputs, dtype)
    before = [random.normal(size=array.shape).astype(dtype) if adds else array * 0 for array in arrays]
    for tensor, array in zip(run.inputs, before, strict=True):
        put(tensor, tensor.gradient, array if adds else array + 7, beyond=0)
    for got, start, want in zip(run.backward(gradient), before, wanted[: len(tensors)], strict=True):
        near(got, start.reshape(got.shape) + np.asarray(want).reshape(got.shape), dtype)
    for tensor in run.inputs:
        lanes = tensor.interior(tensor.gradient).transpose(0, 4, 2, 3, 1)
        assert not lanes.reshape(-1, *lanes.shape[2:])[batch:].any()
    got = {part.name: np.zeros(part.last - part.first) for part in run.context.parameters.parts}
    run.context.parameters.write(got, run.context.parameters.gradients)
    for variable, want in zip(layer.trainable_variables, wanted[len(tensors) :], strict=True):
        near(got["model/" + variable.path], want, dtype)
    return run
