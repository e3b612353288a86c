"""Networks by name, or by the user's own builder, initialized from a seed."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.importing import import_function
from tf_lottery.layers.paths import named_variables
from tf_lottery.models.conv import conv2, conv4, conv6
from tf_lottery.models.lenet import lenet_300_100
from tf_lottery.models.resnet import resnet20
from tf_lottery.models.seeded import seeded
from tf_lottery.models.vit import vit

MODELS: dict[str, Callable[..., keras.Model]] = {
    "conv2": conv2,
    "conv4": conv4,
    "conv6": conv6,
    "lenet_300_100": lenet_300_100,
    "resnet20": resnet20,
    "vit": vit,
}


def build(
    config: ModelConfig,
    input_shape: tuple[int, ...],
    classes: int,
    seed: int,
    scope: AbstractContextManager | None = None,
) -> keras.Model:
    """Return a new network whose random initialization follows from `seed`.

    Keras layers without a seed of their own draw one when they are created, so building
    again under another seed is a random reinitialization, biases and normalization
    included. (Calling a layer's initializer again would return the same weights.)

    Args:
        config: a line of `MODELS`, or the user's `package.module:function`.
        input_shape: of one example.
        classes: number of classes.
        seed: of the initialization. The global generators of Python and NumPy are left
            as they were.
        scope: of a `tf.distribute` strategy, for its variables to be made in.

    Raises:
        LotteryError: an unknown name, a builder that can't be imported or fails, or one
            that doesn't return a built Keras model with `classes` outputs.
    """
    builder = _builder(config)
    policy = keras.config.dtype_policy()
    # Automatic names count from zero again. A scope that was entered before wouldn't survive it.
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(policy)  # which the line above forgets
    try:
        with scope or contextlib.nullcontext(), seeded(seed):
            model = builder(input_shape=input_shape, classes=classes, **config.kwargs)
    except LotteryError:
        raise
    except Exception as error:
        raise LotteryError(
            f"Expected {config.build or config.name} to build a model for inputs {input_shape}, "
            f"{classes} classes. Received: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(model, keras.Model) or not model.built or not getattr(model, "inputs", None):
        raise LotteryError(
            f"Expected a built Sequential or Functional Keras model from {config.build}. Received: {model!r}"
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
    """Return the sha256 of a plain model's layers and their settings, weights aside.

    Of a model whose settings Keras can't write: of what can be told, which is its layers' classes, how
    they are connected, the settings of those that have some, and the shapes of all variables.
    """
    try:
        text = model.to_json()
    except Exception:  # whatever a layer of the user's own raises
        operations = getattr(model, "operations", model.layers)
        told = {
            "operations": [_told(operation) for operation in operations],
            "variables": {path: [v.dtype, *v.shape] for path, v in named_variables(model).items()},
        }
        text = json.dumps(told)
    return hashlib.sha256(text.encode()).hexdigest()


def _told(operation: keras.Operation) -> list[str]:
    kind = type(operation)
    inbound = [parent.operation.name for node in operation._inbound_nodes for parent in node.parent_nodes]
    try:
        settings = json.dumps(keras.saving.serialize_keras_object(operation), sort_keys=True)
    except Exception:  # whatever a layer of the user's own raises
        settings = ""
    return [operation.name, f"{kind.__module__}.{kind.__qualname__}", *inbound, settings]


def _builder(config: ModelConfig) -> Callable[..., keras.Model]:
    if config.build is None:
        if config.name not in MODELS:
            raise LotteryError(
                f"Expected model.name as one of {', '.join(MODELS)}. Received: {config.name!r}"
            )
        return MODELS[config.name]
    return import_function(config.build, "model.build")
