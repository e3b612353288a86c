"""Builds the network of a ticket again, with newly drawn weights."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.paths import named_variables
from tf_lottery.layers.redraw import frozen, redraw
from tf_lottery.models.build import build as build_named
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.correspond import correspond
from tf_lottery.pruning.masks import zeroed
from tf_lottery.seeding import derive

_GIVE_BUILD = "Give build=, a function that builds the plain model."


def redraw_ticket(
    masks: Mapping[str, np.ndarray],
    start: Mapping[str, np.ndarray],
    provenance: Mapping[str, Any],
    seed: int,
    build: Callable[[], keras.Model] | None,
) -> dict[str, np.ndarray]:
    """Return the weights of `Ticket.reinitialize`.

    Args:
        masks: The ticket's masks.
        start: The weights that the ticket starts from.
        provenance: The ticket's provenance, which may say how to build its network.
        seed: Seed of the draw.
        build: Function that builds the network. By default the provenance says how.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise LotteryError(f"Expected a seed that is a whole number from 0. Received: {seed!r}")
    if build is None and (names := provenance.get("given")):
        raise LotteryError(
            f"Some of the ticket's weights were given or trained ({', '.join(map(str, names[:4]))}), so "
            "a random reinitialization can't draw them again. Give build=, a function that builds the plain "
            "model and loads them: what it loads is kept."
        )
    model, drawn = _drawn(provenance, derive(seed, 0, "reinit"), build)
    _, second = _drawn(provenance, derive(seed, 0, "another"), build)
    second = dict(zip(drawn, second.values(), strict=False))  # Keras may have numbered its layers differently
    matches = correspond(
        {path: value.shape for path, value in start.items() if not path.startswith("other/")},
        {path: value.shape for path, value in drawn.items() if not path.startswith("other/")},
    )
    if not matches.complete:
        raise LotteryError(f"Expected the ticket's network. Received: another one ({matches.differences()})")
    ticket_weights = {built: start[path] for path, built in matches.pairs.items()}
    redrawn = redraw(model, [matches.pairs[path] for path in masks], second, drawn)
    # Frozen weights are taken from the ticket, whatever the network was built with.
    kept = {path: ticket_weights[path] for path in frozen(model) if path in ticket_weights}
    new = redrawn.weights | kept
    weights = {path: new[built] for path, built in matches.pairs.items()}
    weights |= {path: drawn.get(path, value) for path, value in start.items() if path not in weights}
    return zeroed(weights, masks)


def _drawn(
    provenance: Mapping[str, Any], seed: int, build: Callable[[], keras.Model] | None
) -> tuple[keras.Model, dict[str, np.ndarray]]:
    model = _network(provenance, seed, build)
    return model, {path: np.array(ops.convert_to_numpy(v)) for path, v in named_variables(model).items()}


def _network(
    provenance: Mapping[str, Any], seed: int, build: Callable[[], keras.Model] | None
) -> keras.Model:
    if build is None and {"model", "input_shape", "classes"} <= provenance.keys():
        return _by_name(provenance, seed)
    if build is None and "architecture" in provenance:
        build = _from_json(provenance["architecture"])
    if build is None:
        raise LotteryError(f"The ticket doesn't say how to build its network. {_GIVE_BUILD}")
    with seeded(seed):
        model = build()
    if not isinstance(model, keras.Model) or not model.built:
        raise LotteryError(f"Expected build to return a built Keras model. Received: {model!r}")
    return model


def _by_name(provenance: Mapping[str, Any], seed: int) -> keras.Model:
    """Build a network of `MODELS` by name. Other functions aren't called just because a file names them."""
    try:
        config = ModelConfig(**provenance["model"])
        shape, classes = tuple(int(size) for size in provenance["input_shape"]), int(provenance["classes"])
    except (ValueError, TypeError) as error:
        raise LotteryError(
            "The ticket's network can't be built from its provenance "
            f"({' '.join(str(provenance['model']).split()):.80}). {_GIVE_BUILD}"
        ) from error
    if config.build is not None:
        raise LotteryError(
            f"The ticket names {config.build!r} as the function that builds its network, and functions that "
            "a file names aren't called. If you trust it, give build=, a function that calls it with "
            f"input_shape={shape}, classes={classes} and its own settings."
        )
    return build_named(config, shape, classes, seed)


def _check_trusted(config: Any) -> None:
    """Refuse an architecture that would make Keras import modules or call functions that a file names."""
    stack = [config]
    while stack:
        each = stack.pop()
        stack += list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else []
        if not isinstance(each, dict) or "class_name" not in each:
            continue
        module, name = each.get("module"), each.get("registered_name")
        registered = isinstance(name, str) and keras.saving.get_registered_object(name) is not None
        allowed = module is None or module == "keras" or str(module).startswith(("keras.", "tf_lottery."))
        if each["class_name"] == "Lambda" or not (allowed or registered):
            raise LotteryError(
                f"Expected layers of Keras, or registered ones. Received: {each['class_name']!r:.40} of "
                f"{module!r:.40}, which a file names. {_GIVE_BUILD}"
            )


def _from_json(architecture: str) -> Callable[[], keras.Model]:
    def build():
        try:
            _check_trusted(json.loads(architecture))
            return keras.models.model_from_json(architecture)
        except LotteryError:
            raise
        except Exception as error:  # such as a layer that isn't registered in this process
            raise LotteryError(
                f"The ticket's network can't be built from its provenance ({reason_of(error)}). {_GIVE_BUILD}"
            ) from error

    return build
