"""A plain network of our own at given weights, on which gradients are measured."""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.convert import check_plain
from tf_lottery.layers.copying import settle
from tf_lottery.layers.paths import walk
from tf_lottery.training import state

_RANDOM = re.compile("Random|TruncatedNormal|StandardNormal|StatefulUniform|Multinomial|PyFunc")
"""Operations of TensorFlow that draw numbers, or that hide what they do."""


def own_network(
    build: Callable[[str], keras.Model],
    policy: str,
    weights: Arrays,
    transform: Callable[[np.ndarray], np.ndarray] = lambda values: values,
) -> keras.Model:
    """Return a new plain network that has the given weights, on one device.

    Args:
        build: Function that builds the plain network anew under a dtype policy.
        policy: The dtype policy, `float32` or `float64`.
        weights: All weights by name, `model/<path>`.
        transform: Function of each weight that isn't an integer, biases and statistics included.

    Raises:
        LotteryError: If the builder returns the same weights again, a layer computes in a smaller type than
            the policy's, or the weights are those of another network.
    """
    model, another = build(policy), build(policy)
    check_new(model, another)
    check_plain(model)
    _check_types(model, policy)
    variables = state.model_variables(model)
    floats = {name for name, variable in variables.items() if "float" in variable.dtype}
    state.restore(variables, {name: transform(v) if name in floats else v for name, v in weights.items()})
    settle(model)
    for _, layer, _ in walk(model):
        if "recurrent_dropout" in vars(layer):  # cells draw their masks in inference, too, and don't use them
            layer.dropout = layer.recurrent_dropout = 0.0
    return model


def check_new(model: keras.Model, another: keras.Model) -> None:
    """Check that a builder's two models share no weights.

    Raises:
        LotteryError: If they do.
    """
    if {id(variable) for variable in model.variables} & {id(variable) for variable in another.variables}:
        raise LotteryError(
            "Expected a builder that returns a new model each time, since gradients are measured, and masks "
            "are trained, on a network of their own. Received: one that returns the same weights again."
        )


def in_batch_mode(model: keras.Model) -> None:
    """Make batch normalization use the statistics of its batch in whatever mode the model is called.

    Frozen batch normalization keeps its moving statistics, as Keras has it in training.

    Args:
        model: A model of our own: its layers are changed.
    """
    for _, layer, _ in walk(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.call = _in_training(layer.call)


def check_draws_nothing(model: keras.Model, function: Callable) -> None:
    """Check that a traced function draws no random numbers.

    Args:
        model: The model that the function calls.
        function: A `tf.function` with an input signature.

    Raises:
        LotteryError: If it draws, with the layer that does.
    """
    for layer, operation in _operations(model, function):
        if _RANDOM.search(operation):
            raise LotteryError(
                "Expected layers that draw no random numbers in inference mode, so that gradients can be "
                f"measured. Received: {layer or model.name!r}, which draws ({operation}). Choose another "
                "criterion."
            )


def check_differentiable_twice(model: keras.Model, function: Callable) -> None:
    """Check that no layer stops gradients.

    What a layer is stopped to see may vanish from first derivatives and still be part of second ones.

    Args:
        model, function: As in `check_draws_nothing`.

    Raises:
        LotteryError: If a layer does, with its path.
    """
    for layer, operation in _operations(model, function):
        if layer and operation == "StopGradient":
            raise LotteryError(
                "Expected layers that don't stop gradients, since second derivatives could be wrong. "
                f"Received: {layer!r}, which does. Choose another criterion."
            )


@contextlib.contextmanager
def exact_moments() -> Iterator[None]:
    """Give normalization the right second derivatives while a function is traced.

    `tf.nn.moments` stops the gradient from the variance to the mean, which is 0; its derivative isn't.
    """

    def moments(x, axes, shift=None, keepdims=False, name=None):
        mean = tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=True)
        return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))

    native = tf.nn.moments
    tf.nn.moments = moments
    try:
        yield
    finally:
        tf.nn.moments = native


def _operations(model: keras.Model, function: Callable) -> Iterator[tuple[str, str]]:
    """Yield the type of each operation in a function, after the path of its layer or the model's name.

    The latter is empty for operations outside of the model.
    """
    names = {layer.name: path or layer.name for path, layer, _ in walk(model)}
    graph = function.get_concrete_function().graph.as_graph_def()
    for nodes in (graph.node, *(inner.node_def for inner in graph.library.function)):
        for node in nodes:
            # TensorFlow numbers scopes: those of the layer `dense` are called `dense_1`.
            scopes = [re.sub(r"_\d+$", "", scope) for scope in node.name.split("/")]
            layers = [names[scope] for scope in scopes if scope in names]
            yield layers[-1] if layers else "", node.op


def _in_training(call: Callable) -> Callable:
    signature = inspect.signature(call)

    def in_training(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["training"] = True
        return call(*bound.args, **bound.kwargs)

    return in_training


def _check_types(model: keras.Model, policy: str) -> None:
    for path, layer, _ in walk(model):
        dtype = tf.as_dtype(layer.compute_dtype)
        inputs = isinstance(layer, keras.layers.InputLayer)
        if path and not inputs and dtype.is_floating and dtype.size < tf.as_dtype(policy).size:
            raise LotteryError(
                f"Expected layers that can compute in {policy}, in which this criterion is measured. "
                f"Received: {path!r}, which computes in {dtype.name}. Leave types to training.precision."
            )
