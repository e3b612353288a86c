"""The description of a search's network, as JSON, by which its directory is recognized."""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tf_lottery.layers.access import get_masks
from tf_lottery.layers.compiled import compile_settings, config_of
from tf_lottery.layers.paths import named_variables


def description_of(
    model: keras.Model,
    plain_class: type,
    architecture: str | None,
    optimizers: Sequence[keras.optimizers.Optimizer],
    frozen: Sequence[str],
) -> dict[str, Any]:
    """Return all that determines a run except the weights, as JSON.

    Args:
        model: The compiled prunable model.
        plain_class: The class of the user's model.
        architecture: What `architecture_of` returned.
        optimizers: The model's optimizers.
        frozen: The paths of the variables that aren't trained.
    """
    shapes = {path: list(variable.shape) for path, variable in named_variables(model).items()}
    settings = compile_settings(model)
    description = {
        "class": plain_class.__name__,
        "architecture": _unnumbered(architecture),
        "shapes": [shape for path, shape in shapes.items() if not path.startswith("other/")],
        "kernels": [list(mask.shape) for mask in get_masks(model).values()],
        "optimizers": [_plain(_config_of(optimizer)) for optimizer in optimizers],
        "loss": _plain(settings.get("loss")),
        "loss_weights": _plain(settings.get("loss_weights")),
        "metrics": _plain(settings.get("metrics")),
    }
    if frozen:
        description["frozen"] = [shapes[path] for path in frozen]
    decayed = [
        [inner._use_weight_decay(variable) for variable in model.trainable_variables]
        for optimizer in optimizers
        if (inner := getattr(optimizer, "inner_optimizer", optimizer)).weight_decay
    ]
    return description if all(map(all, decayed)) else {**description, "decayed": decayed}


def _config_of(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    try:
        return optimizer.get_config()
    except Exception:  # the user's own schedule, which can't be serialized
        return config_of(optimizer)


def theta_0_in_words(built: bool, seed: int, steps: int) -> str:
    """Return a description of the weights at step 0.

    Args:
        built: Whether a function built the model.
        seed: The search's seed.
        steps: The number of steps for which the model has been trained already.
    """
    if built:
        return f"drawn by the function that builds the model, with seed {seed}"
    if steps:
        return (
            f"the weights of the model as it was given, trained for {steps:,} steps: rewinding goes back to "
            "these pre-trained weights. For a random initialization give a function that builds the model"
        )
    return "the weights of the model as it was given"


def architecture_of(model: keras.Model) -> str | None:
    """Return JSON that builds the plain model, or None if Keras can't serialize it."""
    try:
        architecture = json.loads(model.to_json())
    except Exception:  # the user's own model, which can't be serialized
        return None
    architecture.pop("compile_config", None)  # it may name a loss that no file can hold
    return json.dumps(architecture)


def _unnumbered(architecture: str | None) -> str | None:
    """Return an architecture's digest, regardless of the numbers that Keras gave its layers (`dense_1`)."""
    if architecture is None:
        return None
    return hashlib.sha256(re.sub(r"_\d+(?=\")", "", architecture).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return a setting as JSON: its value, or its name if JSON can't hold it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if key != "name"}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    name = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, (keras.losses.Loss, keras.metrics.Metric)):
        with contextlib.suppress(Exception):  # the user's own loss or metric, which can't be serialized
            return {"class": name, **_plain(value.get_config())}
    return name
