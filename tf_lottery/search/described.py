"""What a search's network is, as JSON holds it, by which its directory is recognized."""

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
    """Return what determines a run, weights aside, as JSON holds it.

    Args:
        model: The prunable model, compiled.
        plain_class: The class of the model that was given.
        architecture: What `architecture_of` returned.
        optimizers: The model's optimizers.
        frozen: The paths of what isn't trained.
    """
    shapes = {path: list(variable.shape) for path, variable in named_variables(model).items()}
    settings = compile_settings(model)
    found = {
        "class": plain_class.__name__,
        "architecture": _unnumbered(architecture),
        "shapes": [shape for path, shape in shapes.items() if not path.startswith("other/")],
        "kernels": [list(mask.shape) for mask in get_masks(model).values()],
        "optimizers": [_plain(_written(optimizer)) for optimizer in optimizers],
        "loss": _plain(settings.get("loss")),
        "loss_weights": _plain(settings.get("loss_weights")),
        "metrics": _plain(settings.get("metrics")),
    }
    if frozen:
        found["frozen"] = [shapes[path] for path in frozen]
    decayed = [
        [inner._use_weight_decay(variable) for variable in model.trainable_variables]
        for optimizer in optimizers
        if (inner := getattr(optimizer, "inner_optimizer", optimizer)).weight_decay
    ]
    return found if all(map(all, decayed)) else {**found, "decayed": decayed}


def _written(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    try:
        return optimizer.get_config()
    except Exception:  # a schedule of the user's own that can't be written
        return config_of(optimizer)


def theta_0_in_words(built: bool, seed: int, taken: int) -> str:
    """Return what the weights at step 0 are, in words.

    Args:
        built: Whether a function built the model.
        seed: The search's seed.
        taken: The steps that the model has been trained already.
    """
    if built:
        return f"drawn by the function that builds the model, with seed {seed}"
    if taken:
        return (
            f"the weights of the model as it was given, trained for {taken:,} steps: rewinding goes back to "
            "these pre-trained weights. For a random initialization give a function that builds the model"
        )
    return "the weights of the model as it was given"


def architecture_of(model: keras.Model) -> str | None:
    """Return JSON that builds the plain model, None if Keras can't write it."""
    try:
        written = json.loads(model.to_json())
    except Exception:  # a model of the user's own that can't be written
        return None
    written.pop("compile_config", None)  # it may name a loss that no file can hold
    return json.dumps(written)


def _unnumbered(architecture: str | None) -> str | None:
    """Return an architecture's digest, whatever numbers Keras gave its layers (`dense_1`)."""
    if architecture is None:
        return None
    return hashlib.sha256(re.sub(r"_\d+(?=\")", "", architecture).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A setting as JSON holds it: what it is called, where there is more to it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if key != "name"}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    name = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, (keras.losses.Loss, keras.metrics.Metric)):
        with contextlib.suppress(Exception):  # one of the user's own that can't be written
            return {"class": name, **_plain(value.get_config())}
    return name
