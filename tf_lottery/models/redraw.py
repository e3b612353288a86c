"""The network of a ticket, built again with weights drawn afresh."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.arrays import Arrays
from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError, reason_of
from tf_lottery.layers.paths import named_variables
from tf_lottery.layers.redraw import frozen, redraw
from tf_lottery.models.build import build as build_named
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.correspond import correspond
from tf_lottery.pruning.masks import zeroed
from tf_lottery.seeding import derive


def redraw_ticket(
    masks: Arrays,
    start: Arrays,
    known: Mapping[str, Any],
    seed: int,
    build: Callable[[], keras.Model] | None,
) -> dict[str, np.ndarray]:
    """Return the weights of `Ticket.reinitialize`.

    Args:
        masks: of the ticket.
        start: the weights that it starts from.
        known: its provenance.
        seed: of the draw.
        build: builds the network; None: from what is known.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise LotteryError(f"Expected a seed, a whole number from 0. Received: {seed!r}")
    if build is None and (names := known.get("given")):
        raise LotteryError(
            "Expected a ticket whose weights were drawn, since a random reinitialization draws them anew. "
            f"Received: one of weights that were given or trained before ({', '.join(map(str, names[:4]))}). "
            "Give build=, a function that builds the plain model and loads them: what it loads is kept."
        )
    model, drawn = _drawn(known, derive(seed, 0, "reinit"), build)
    _, other = _drawn(known, derive(seed, 0, "another"), build)
    other = dict(zip(drawn, other.values(), strict=False))  # Keras may number its layers otherwise
    found = correspond(
        {path: value.shape for path, value in start.items() if not path.startswith("other/")},
        {path: value.shape for path, value in drawn.items() if not path.startswith("other/")},
    )
    if not found.complete:
        raise LotteryError(f"Expected the ticket's network. Received: another one ({found.differences()})")
    theirs = {there: start[path] for path, there in found.pairs.items()}
    fresh = redraw(model, [found.pairs[path] for path in masks], other, drawn)
    # What is frozen is the ticket's own, whatever the network was built with.
    new = fresh.weights | {path: theirs[path] for path in frozen(model) if path in theirs}
    weights = {path: new[there] for path, there in found.pairs.items()}
    weights |= {path: drawn.get(path, value) for path, value in start.items() if path not in weights}
    return zeroed(weights, masks)


def _drawn(
    known: Mapping[str, Any], seed: int, build: Callable[[], keras.Model] | None
) -> tuple[keras.Model, dict[str, np.ndarray]]:
    model = _network(known, seed, build)
    return model, {path: np.array(ops.convert_to_numpy(v)) for path, v in named_variables(model).items()}


def _network(known: Mapping[str, Any], seed: int, build: Callable[[], keras.Model] | None) -> keras.Model:
    if build is None and {"model", "input_shape", "classes"} <= known.keys():
        return _of_ours(known, seed)
    if build is None and "architecture" in known:
        build = _from_json(known["architecture"])
    if build is None:
        raise LotteryError(
            "Expected a ticket that knows its network, or build=. Received: neither. "
            "Give a function that builds the plain model."
        )
    with seeded(seed):
        model = build()
    if not isinstance(model, keras.Model) or not model.built:
        raise LotteryError(f"Expected build to return a built Keras model. Received: {model!r}")
    return model


def _of_ours(known: Mapping[str, Any], seed: int) -> keras.Model:
    """Build a network by name. A file's word is enough for those of `MODELS`, not for anybody's function."""
    try:
        config = ModelConfig(**known["model"])
        shape, classes = tuple(int(size) for size in known["input_shape"]), int(known["classes"])
    except (ValueError, TypeError) as error:
        raise LotteryError(
            "Expected a ticket that knows its network. Received: "
            f"{' '.join(str(known['model']).split()):.80}. Give build=, a function of it."
        ) from error
    if config.build is not None:
        raise LotteryError(
            "Expected build=, since the ticket's network is of a function of its owner's, and no function "
            f"is called because a file names it. Received: none. If you trust it: build=the function "
            f"{config.build!r}, called with input_shape={shape}, classes={classes} and its own settings."
        )
    return build_named(config, shape, classes, seed)


def _check_trusted(config: Any) -> None:
    """Refuse an architecture that would import modules, or call functions, that a file names."""
    stack = [config]
    while stack:
        each = stack.pop()
        stack += list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else []
        if not isinstance(each, dict) or "class_name" not in each:
            continue
        module, name = each.get("module"), each.get("registered_name")
        registered = isinstance(name, str) and keras.saving.get_registered_object(name) is not None
        ours = module is None or module == "keras" or str(module).startswith(("keras.", "tf_lottery."))
        if each["class_name"] == "Lambda" or not (ours or registered):
            raise LotteryError(
                f"Expected layers of Keras, or registered ones. Received: {each['class_name']!r:.40} of "
                f"{module!r:.40}, which a file names. Give build=, a function that builds the plain model."
            )


def _from_json(architecture: str) -> Callable[[], keras.Model]:
    def build():
        try:
            _check_trusted(json.loads(architecture))
            return keras.models.model_from_json(architecture)
        except LotteryError:
            raise
        except Exception as error:  # a layer that isn't known here
            raise LotteryError(
                "Expected layers that are known here. Received: "
                f"{reason_of(error)}. Give build=, a function that builds the plain model."
            ) from error

    return build
