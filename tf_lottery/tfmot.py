"""Tickets from tf_keras models that tensorflow-model-optimization (tfmot) pruned.

This is the only module that imports tfmot, and it does so only inside functions: importing tfmot sets
`TF_USE_LEGACY_KERAS=1` for this process and its children, and makes `tf.keras` the old Keras
unless `tf.keras` was used before.
"""

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.masks import zeroed
from tf_lottery.ticket import Ticket

_LEGACY = "TF_USE_LEGACY_KERAS"


def load_tfmot() -> ModuleType:
    """Import the package `tensorflow_model_optimization` without its side effects, and return it.

    `tf.keras` stays what it is (Keras 3, unless the environment asks for another), and the
    environment is unchanged.

    Raises:
        LotteryError: If the package can't be imported.

    Examples:
        >>> from tf_lottery.tfmot import load_tfmot
        >>> decay = load_tfmot().sparsity.keras.PolynomialDecay(0.0, 0.9, 0, 1000)
    """
    with _environment_kept():
        try:
            import tensorflow as tf

            tf.keras.Model  # noqa: B018, the first use decides for the whole process
            return importlib.import_module("tensorflow_model_optimization")
        except Exception as error:  # an old package can fail in any way: numpy, distutils, ...
            raise LotteryError(
                f"tensorflow-model-optimization can't be imported ({_reason(error)}). "
                "Try: pip install tensorflow-model-optimization"
            ) from error


def ticket_from_tfmot(model: Any, initial: Any = None) -> Ticket:
    """Return the ticket of a model that tfmot pruned.

    Paths are those of the same model in Keras 3 with the same layer names: `dense/kernel`,
    `block/conv/bias`. A layer that tfmot wrapped has the name of the inner layer.

    Args:
        model: A tf_keras model after `prune_low_magnitude`, or the path of its file (`.h5`,
            `.keras` or SavedModel; custom layers must be registered with tf_keras). The masks are
            those of the wrappers. A model after `strip_pruning` works, too: each kernel with zeros
            then has the mask of its nonzeros, so a weight that happens to be 0.0 counts as
            pruned, and a kernel without zeros counts as not prunable.
        initial: The weights that the ticket starts from (theta_0): a tf_keras model, wrapped or
            not, the path of its file, or a mapping from variable path to array. By default the ticket
            starts from the trained weights, and its provenance says `rewind_to: "trained"`.

    Returns:
        A ticket with masks, weights, trained weights and provenance; pruned weights are 0.0.

    Raises:
        LotteryError: If the model is a Keras 3 model, isn't built or has nothing pruned, the initial
            weights belong to another model, a file is missing or can't be read, or tfmot isn't installed.

    Examples:
        >>> import numpy as np, tf_keras, tf_lottery as lottery
        >>> output = tf_keras.layers.Dense(1, name="output")
        >>> stripped = tf_keras.Sequential([tf_keras.Input((4,)), output])
        >>> stripped.set_weights([np.array([[0.5], [0.0], [0.0], [2.0]]), np.array([0.1])])
        >>> ticket = lottery.ticket_from_tfmot(stripped)
        >>> ticket.density, list(ticket.weights)
        (0.5, ['output/kernel', 'output/bias'])
    """
    tfmot = load_tfmot()
    source = _model(tfmot, model)
    variables = _named_variables(source)
    masks, masks_from = _masks(source, variables)
    trained = {path: variable.numpy() for path, variable in variables.items()}
    start = trained if initial is None else _initial(tfmot, initial, trained)
    provenance = {
        "source": f"tensorflow-model-optimization {tfmot.__version__}",
        "model": source.name,
        "file": str(model) if isinstance(model, (str, Path)) else None,
        "masks_from": masks_from,
        "rewind_to": "trained" if initial is None else "initial",
    }
    return Ticket(masks, zeroed(start, masks), zeroed(trained, masks), provenance)


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = os.environ.get(_LEGACY)
    try:
        yield
    finally:
        os.environ.pop(_LEGACY, None)
        if before is not None:
            os.environ[_LEGACY] = before


def _model(tfmot: ModuleType, model: Any) -> Any:
    """Return a built tf_keras model, loaded from a file if necessary."""
    import tf_keras

    path, loaded = (model, _load(tfmot, model)) if isinstance(model, (str, Path)) else (None, model)
    if not isinstance(loaded, tf_keras.Model):
        received = f"{path}, which doesn't contain one" if path else f"{type(loaded).__name__} {loaded!r:.80}"
        if isinstance(loaded, keras.Model):
            received = f"{loaded.name!r}, a Keras 3 model, which tf_lottery prunes itself"
        raise LotteryError(
            f"Expected a tf_keras model, the only kind that tfmot prunes. Received: {received}"
        )
    if not loaded.built:
        raise LotteryError(f"Expected a built model. Received: {loaded.name!r}, which is not built")
    return loaded


def _load(tfmot: ModuleType, path: str | Path) -> Any:
    import tf_keras

    if not Path(path).exists():
        raise LotteryError(f"Expected the file of a tf_keras model. Received: {path}, which is missing")
    try:
        with tfmot.sparsity.keras.prune_scope():
            return tf_keras.models.load_model(str(path), compile=False)
    except Exception as error:  # each file format fails in its own ways
        raise LotteryError(
            f"tf_keras can't load {path} ({_reason(error)}). Save the whole model with tf_keras, and "
            "register its custom layers."
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _is_wrapper(layer: Any) -> bool:
    return any(base.__name__ == "PruneLowMagnitude" for base in type(layer).__mro__)


def _children(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _walk(layer: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield path and layer of a model and of every layer in it, each once, as `layers.paths` does.

    A wrapper has the path of the layer that it wraps.
    """
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield path, layer
    for child in _children(layer):
        name = child.layer.name if _is_wrapper(child) else child.name
        yield from _walk(child, path if _is_wrapper(layer) else f"{path}{name}/", seen)


def _named_variables(model: Any) -> dict[str, Any]:
    """Return path -> variable, with the paths that the same model has in Keras 3.

    Only the last part of a variable's name is used: what precedes it depends on
    whether the model was built, wrapped or loaded, and from which format.
    """
    named: dict[str, Any] = {}
    seen: set[int] = set()
    for prefix, layer in _walk(model, "", set()):
        if _is_wrapper(layer):
            continue
        below = {id(variable) for child in _children(layer) for variable in child.weights}
        for variable in layer.weights:
            if id(variable) not in below | seen:
                seen.add(id(variable))
                path = stem = prefix + _own_name(layer, variable)
                number = 2
                while path in named:
                    path, number = f"{stem}~{number}", number + 1
                named[path] = variable
    return named


def _own_name(layer: Any, variable: Any) -> str:
    name = variable.name.split(":")[0].rpartition("/")[2]
    if name == "depthwise_kernel" and type(layer).__name__.startswith("DepthwiseConv"):
        return "kernel"  # Its name in Keras 3; SeparableConv's has the same name in both.
    return name


def _masks(model: Any, variables: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], str]:
    """Return the masks and where they come from: `wrappers` or `zeros`."""
    layers = [layer for _, layer in _walk(model, "", set())]
    wrappers = [layer for layer in layers if _is_wrapper(layer)]
    if wrappers:
        paths = {id(variable): path for path, variable in variables.items()}
        pairs = [pair for wrapper in wrappers for pair in wrapper.pruning_vars]
        masks, source = {paths[id(weight)]: mask.numpy() != 0 for weight, mask, _ in pairs}, "wrappers"
    else:
        declared = {
            id(weight)
            for layer in layers
            if hasattr(layer, "get_prunable_weights")
            for weight in layer.get_prunable_weights()
        }
        kernels = {p: v.numpy() for p, v in variables.items() if id(v) in declared or _is_kernel(p, v)}
        masks, source = {p: k != 0 for p, k in kernels.items() if not k.all()}, "zeros"
    if not masks:
        raise LotteryError(
            f"Expected a model that tfmot pruned. Received: {model.name!r}, "
            + (
                "whose prune_low_magnitude layers have no kernels"
                if wrappers
                else "which has no prune_low_magnitude layer and no zero in a kernel"
            )
        )
    return masks, source


def _is_kernel(path: str, variable: Any) -> bool:
    """Return whether a variable is a kernel, judged by its name in tf_keras.

    Its dimensions alone don't tell: GRU's biases have two, and start as zeros.
    """
    name = path.rpartition("/")[2]
    return len(variable.shape) >= 2 and (name in ("kernel", "embeddings") or name.endswith("_kernel"))


def _initial(tfmot: ModuleType, initial: Any, trained: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if isinstance(initial, Mapping):
        weights = {path: np.asarray(array) for path, array in initial.items()}
    else:
        weights = {p: v.numpy() for p, v in _named_variables(_model(tfmot, initial)).items()}
    if weights.keys() != trained.keys():
        missing, foreign = sorted(trained.keys() - weights.keys()), sorted(weights.keys() - trained.keys())
        raise LotteryError(
            "Expected initial weights of the same model, with the same layer names. "
            f"Received: missing {missing}, not in the model {foreign}"
        )
    for path, array in weights.items():
        if array.shape != trained[path].shape:
            raise LotteryError(
                f"Expected initial weights for {path} of shape {trained[path].shape}. Received: {array.shape}"
            )
    return {path: weights[path].astype(array.dtype) for path, array in trained.items()}
