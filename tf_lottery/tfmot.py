"""From tensorflow-model-optimization (tfmot): its pruned tf_keras models as tickets.

The only module that imports tfmot, and only inside functions: importing it sets
`TF_USE_LEGACY_KERAS=1` for this process and its children, and makes `tf.keras` the old Keras
wherever `tf.keras` wasn't touched before.
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
    """Return the package `tensorflow_model_optimization`, imported without its side effects.

    `tf.keras` stays what it is (Keras 3, unless the environment asks for another) and the
    environment stays as it was.

    Raises:
        LotteryError: if it can't be imported.

    Example:
        >>> from tf_lottery.tfmot import load_tfmot
        >>> decay = load_tfmot().sparsity.keras.PolynomialDecay(0.0, 0.9, 0, 1000)
    """
    with _environment_kept():
        try:
            import tensorflow as tf

            tf.keras.Model  # noqa: B018, the first touch decides for the whole process
            return importlib.import_module("tensorflow_model_optimization")
        except Exception as error:  # an old package can fail in any way: numpy, distutils, ...
            raise LotteryError(
                "Expected tensorflow-model-optimization, installed and importable. "
                f"Received: {_reason(error)}. Try: pip install tensorflow-model-optimization"
            ) from error


def ticket_from_tfmot(model: Any, initial: Any = None) -> Ticket:
    """Return the ticket that a model pruned by tfmot holds.

    Paths are those of the same model in Keras 3 with the same layer names: `dense/kernel`,
    `block/conv/bias`. A layer that tfmot wrapped has the name of the inner layer.

    Args:
        model: a tf_keras model after `prune_low_magnitude`, or the path of one's file (`.h5`,
            `.keras` or SavedModel; custom layers must be registered with tf_keras). Masks are
            those of the wrappers. A model after `strip_pruning` will do, too: then each kernel
            with zeros has the mask of its nonzeros, so a weight that is 0.0 by chance counts as
            pruned, and a kernel without zeros as not prunable.
        initial: the weights that the ticket starts from (theta_0): a tf_keras model, wrapped or
            not, the path of one's file, or variable path -> array. Without it the ticket starts
            from the trained weights, and its provenance says `rewind_to: "trained"`.

    Returns:
        A ticket with masks, weights, trained weights and provenance; pruned weights are 0.0.

    Raises:
        LotteryError: a model of Keras 3, one that isn't built or has nothing pruned, initial
            weights of another model, a file that is missing or can't be read, no tfmot.

    Example:
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
    return Ticket(masks, _pruned(start, masks), _pruned(trained, masks), provenance)


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
    """Return a built tf_keras model, from a file if need be."""
    import tf_keras

    path, loaded = (model, _load(tfmot, model)) if isinstance(model, (str, Path)) else (None, model)
    if not isinstance(loaded, tf_keras.Model):
        received = f"{path}, which holds none" if path else f"{type(loaded).__name__} {loaded!r:.80}"
        if isinstance(loaded, keras.Model):
            received = f"{loaded.name!r}, a Keras 3 model, which tf_lottery prunes itself"
        raise LotteryError(f"Expected a tf_keras model (tfmot prunes no others). Received: {received}")
    if not loaded.built:
        raise LotteryError(f"Expected a built model. Received: {loaded.name!r}, not built")
    return loaded


def _load(tfmot: ModuleType, path: str | Path) -> Any:
    import tf_keras

    if not Path(path).exists():
        raise LotteryError(f"Expected the file of a tf_keras model. Received: {path}, which isn't there")
    try:
        with tfmot.sparsity.keras.prune_scope():
            return tf_keras.models.load_model(str(path), compile=False)
    except Exception as error:  # each format has failures of its own
        raise LotteryError(
            "Expected a whole model that tf_keras saved, its custom layers registered. "
            f"Received: {path}, which tf_keras can't load ({_reason(error)})"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _is_wrapper(layer: Any) -> bool:
    return any(base.__name__ == "PruneLowMagnitude" for base in type(layer).__mro__)


def _children(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _walk(layer: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield path and layer of a model and all that is in it, each once, as `layers.paths` does.

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
    """Return path -> variable, as the same model has them in Keras 3.

    Names of variables are read from the last part only: what stands before it depends on
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
        return "kernel"  # its name in Keras 3; SeparableConv's is the same in both
    return name


def _masks(model: Any, variables: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], str]:
    """Return masks and where they come from, `wrappers` or `zeros`."""
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
            f"Expected a model that tfmot pruned. Received: {model.name!r}, with no layer of "
            f"prune_low_magnitude{' that has kernels' if wrappers else ' and no zero in a kernel'}"
        )
    return masks, source


def _is_kernel(path: str, variable: Any) -> bool:
    """Return whether a variable is a kernel, by what tf_keras calls it. (Not by its dimensions
    alone: GRU's biases have two, and are zeros at first.)"""
    name = path.rpartition("/")[2]
    return len(variable.shape) >= 2 and (name in ("kernel", "embeddings") or name.endswith("_kernel"))


def _initial(tfmot: ModuleType, initial: Any, trained: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if isinstance(initial, Mapping):
        found = {path: np.asarray(array) for path, array in initial.items()}
    else:
        found = {p: v.numpy() for p, v in _named_variables(_model(tfmot, initial)).items()}
    if found.keys() != trained.keys():
        missing, foreign = sorted(trained.keys() - found.keys()), sorted(found.keys() - trained.keys())
        raise LotteryError(
            "Expected initial weights of the same model, with the same layer names. "
            f"Received: missing {missing}, not in the model {foreign}"
        )
    for path, array in found.items():
        if array.shape != trained[path].shape:
            raise LotteryError(
                f"Expected initial weights of {path} with shape {trained[path].shape}. "
                f"Received: {array.shape}"
            )
    return {path: found[path].astype(array.dtype) for path, array in trained.items()}


def _pruned(weights: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return zeroed(weights, masks)
