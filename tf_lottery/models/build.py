"""Builds networks by name, or with the user's own function, initialized from a seed."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.importing import import_function
from tf_lottery.layers.paths import named_variables
from tf_lottery.models.conv import conv2, conv4, conv6
from tf_lottery.models.lenet import lenet5, lenet_300_100
from tf_lottery.models.mlp import mlp
from tf_lottery.models.resnet import resnet20, resnet32, resnet56
from tf_lottery.models.seeded import seeded
from tf_lottery.models.vgg import vgg11, vgg16, vgg19
from tf_lottery.models.vit import vit
from tf_lottery.models.wide_resnet import wrn22_2

MODELS: dict[str, Callable[..., keras.Model]] = {
    "conv2": conv2,
    "conv4": conv4,
    "conv6": conv6,
    "lenet5": lenet5,
    "lenet_300_100": lenet_300_100,
    "mlp": mlp,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet56": resnet56,
    "vgg11": vgg11,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "vit": vit,
    "wrn22_2": wrn22_2,
}
"""Networks by name. All but `vit` take `width`, a factor of their hidden layers; that of `vit` is a number of
features."""


def build(
    config: ModelConfig,
    input_shape: tuple[int, ...],
    classes: int,
    seed: int,
    scope: AbstractContextManager | None = None,
) -> keras.Model:
    """Return a new network whose random initialization is determined by `seed`.

    Keras layers without a seed of their own draw one when they are created, so building
    the network again under another seed is a random reinitialization, including biases and
    normalization. (Calling a layer's initializer again would return the same weights.)

    Args:
        config: Names a line of `MODELS`, or the user's function as `package.module:function`.
        input_shape: Shape of one example.
        classes: Number of classes.
        seed: Seed of the initialization. The global generators of Python and NumPy keep their states.
        scope: Scope of a `tf.distribute` strategy in which to create the variables.

    Raises:
        LotteryError: If the name is unknown, or the user's function can't be imported, fails, or
            doesn't return a built Keras model with `classes` outputs.
    """
    builder = builder_of(config)
    policy = keras.config.dtype_policy()
    # Automatic names start from zero again. A scope that was already entered would be lost here.
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(policy)  # clear_session resets it
    try:
        with scope or contextlib.nullcontext(), seeded(seed):
            model = builder(input_shape=input_shape, classes=classes, **config.kwargs)
    except LotteryError:
        raise
    except Exception as error:
        raise LotteryError(
            f"Expected {config.build or config.name} to build a model for inputs of shape {input_shape} "
            f"and {classes} classes. Received: {type(error).__name__}: {reason_of(error)}"
        ) from error
    if not isinstance(model, keras.Model) or not model.built or not getattr(model, "inputs", None):
        raise LotteryError(
            f"Expected a built Sequential or Functional Keras model from {config.build}. Received: {model!r}"
        )
    if type(model).train_step is not keras.Model.train_step:
        raise LotteryError(
            f"Expected a model without a train_step of its own from {config.build}, since a study trains by "
            f"training.loss alone. Received: {type(model).__name__}"
        )
    if model.input_shape != (None, *input_shape):
        raise LotteryError(
            f"Expected a model with inputs of shape {(None, *input_shape)}. Received: {model.input_shape}"
        )
    if model.output_shape != (None, classes):
        raise LotteryError(
            f"Expected a model with outputs of shape (None, {classes}). Received: {model.output_shape}"
        )
    return model


def architecture(model: keras.Model) -> str:
    """Return the sha256 of a plain model's layers and their settings, without its weights.

    If Keras can't serialize the model, the sha256 covers its layers' classes, their connections, the
    settings of those layers that can be serialized, and the shapes and types of all variables.
    """
    try:
        text = model.to_json()
    except Exception:  # the user's layers may raise anything
        operations = getattr(model, "operations", model.layers)
        description = {
            "operations": [_description(operation) for operation in operations],
            "variables": {path: [v.dtype, *v.shape] for path, v in named_variables(model).items()},
        }
        text = json.dumps(description)
    return hashlib.sha256(text.encode()).hexdigest()


def _description(operation: keras.Operation) -> list[str]:
    kind = type(operation)
    inbound = [parent.operation.name for node in operation._inbound_nodes for parent in node.parent_nodes]
    try:
        settings = json.dumps(keras.saving.serialize_keras_object(operation), sort_keys=True)
    except Exception:  # the user's layers may raise anything
        settings = ""
    return [operation.name, f"{kind.__module__}.{kind.__qualname__}", *inbound, settings]


def builder_of(config: ModelConfig) -> Callable[..., keras.Model]:
    """Return the function that builds a network.

    Raises:
        LotteryError: If the name is unknown, or the user's function can't be imported.
    """
    if config.build is None:
        if config.name not in MODELS:
            raise LotteryError(
                f"Expected model.name to be one of {', '.join(MODELS)}. Received: {config.name!r}"
            )
        return MODELS[config.name]
    return import_function(config.build, "model.build")
