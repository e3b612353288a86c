"""Whether a copy is the user's model: it answers the same, learns the same, and stands by itself."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree
from tensorflow.python.eager import context as tf_context

from tf_lottery.errors import reason_of
from tf_lottery.layers.inputs import draw_inputs
from tf_lottery.layers.paths import holders, named_variables, variables_without_masks, walk


@dataclass(frozen=True)
class _Answer:
    """What a call gave: bytes that tell it from another's, and which variables were read."""

    outputs: list[np.ndarray]
    losses: list[np.ndarray]
    written: dict[str, np.ndarray]
    read: set[int]
    gradients: list[np.ndarray | None]

    def parts(self) -> list[np.ndarray]:
        return [*self.outputs, *self.losses, *self.written.values()]


class _Reads(keras.StatelessScope):
    """A scope that notes which variables are read, and holds back what is written."""

    def __init__(self):
        super().__init__(collect_losses=True)
        self.read: set[int] = set()

    def get_current_value(self, variable: keras.Variable) -> Any:
        self.read.add(id(variable))
        return super().get_current_value(variable)


def difference(source: keras.Model, copy: keras.Model, inputs: Any = None, close: bool = False) -> str | None:
    """Return in what a copy isn't its source, in words, None if it is the same.

    Both are called on the same inputs, in inference and in training, and held against each other bit for
    bit: outputs, losses that layers add, and what the call writes (statistics, seeds). Nothing of either
    changes. A copy that reads a variable of its source, because an operation or a function of the user's
    refers to it, isn't one. Regularizers, constraints and what is trainable are compared, too.

    Args:
        source: built; plain or prunable.
        copy: of it; plain or prunable.
        inputs: examples, as the models' call takes them. Default: drawn, for models that say what their
            inputs are.
        close: whether answers may differ by rounding, of a copy that adds up fewer zeros; in inference only,
            since it draws other numbers in training.
    """
    if found := _flags(source, copy, by_name=close):
        return found
    with _raw_kept(source), _raw_kept(copy):
        return _difference(source, copy, inputs, close)


def _difference(source: keras.Model, copy: keras.Model, inputs: Any, close: bool) -> str | None:
    calls = _calls(source, inputs)
    if isinstance(calls, str):
        return calls
    inputs, ours = calls
    foreign = {id(v) for v in source.variables} - {id(v) for v in copy.variables}
    for training, expected in ours.items():
        if close and training:
            continue
        try:
            answer = _answer(copy, inputs, training)
        except Exception as error:  # whatever a layer of the user's own raises
            return f"the copy fails: {reason_of(error)}"
        if answer.read & foreign:
            names = [path for path, v in named_variables(source).items() if id(v) in answer.read & foreign]
            return f"an operation or function in it refers to {names[0] if names else 'a variable'} itself"
        if _equal(expected, answer, close):
            if expected.gradients and not _learns_alike(expected, answer, _kept(source, copy)):
                return "it learns otherwise: its gradients are others"
            continue
        if close or not _unsteady(source, inputs, training, expected, answer):
            return f"it answers otherwise{_where(source, copy, inputs, training)}"
    return None


@contextlib.contextmanager
def _raw_kept(model: keras.Model) -> Iterator[None]:
    """Bring back what a call does to variables of TensorFlow's own, which no scope of Keras holds back."""
    raw = [v for layer in model._flatten_layers() for v in vars(layer).values() if isinstance(v, tf.Variable)]
    kept = [(variable, variable.numpy()) for variable in raw]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def _calls(source: keras.Model, inputs: Any) -> tuple[Any, dict[bool, _Answer]] | str:
    """Return inputs that a model takes, and what it answers on them, without and in training."""
    if inputs is None and not getattr(source, "inputs", None):
        return "no inputs can be drawn for it"
    reason = ""
    candidates = [inputs] if inputs is not None else _drawn(source)
    for candidate in candidates:
        try:
            return candidate, {mode: _answer(source, candidate, mode) for mode in (False, True)}
        except Exception as error:  # whatever a layer of the user's own raises
            reason = reason_of(error)
    return f"it fails on inputs {'drawn for it' if inputs is None else 'of the data'}: {reason}"


def _drawn(source: keras.Model) -> Iterator[Any]:
    yield from draw_inputs(source)
    yield from draw_inputs(source, indices=range(len(source.inputs)))  # floats that stand for indices


def _answer(model: keras.Model, inputs: Any, training: bool) -> _Answer:
    with _alike_drawn(), _Reads() as scope, tf.GradientTape() as tape:
        outputs = model(inputs, training=training)
        losses = [ops.convert_to_tensor(loss) for loss in scope.losses]
        flat = tf.nest.flatten(outputs, expand_composites=True)
        total = _weighted(flat) + sum(tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in losses)
    gradients = _gradients(model, tape, total) if training and _of_users(model) else []
    masks = [getattr(each, "_keras_mask", None) for each in tree.flatten(outputs)]
    written = {
        path: _numpy(scope.state_mapping[id(variable)])
        for path, variable in _in_order(model)
        if id(variable) in scope.state_mapping
    }
    flat = [*flat, *(kept for kept in masks if kept is not None)]
    return _Answer(
        [_numpy(o) for o in flat], [_numpy(loss) for loss in losses], written, scope.read, gradients
    )


def _weighted(outputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return a number that depends on all outputs that are floats, each of another weight."""
    total = tf.zeros(())
    for output in outputs:
        if output.dtype.is_floating:
            weights = tf.cos(tf.range(tf.size(output), dtype=tf.float32))
            total += tf.reduce_sum(tf.reshape(tf.cast(output, tf.float32), [-1]) * weights)
    return total


def _of_users(model: keras.Model) -> bool:
    """Whether a layer in it isn't Keras's own: its gradient may be, too."""
    kinds = {getattr(layer, "_plain_class", type(layer)) for _, layer, _ in walk(model)}
    return any(not kind.__module__.startswith("keras.") or kind is keras.layers.Lambda for kind in kinds)


def _gradients(model: keras.Model, tape: tf.GradientTape, total: tf.Tensor) -> list[np.ndarray | None]:
    """Return the gradients of what is trained, in its order; of kernels, 0 where they are pruned."""
    found = tape.gradient(total, [variable._value for variable in _trained(model)])
    return [None if each is None else _numpy(tf.convert_to_tensor(each)) for each in found]


def _trained(model: keras.Model) -> list[keras.Variable]:
    trained = {id(variable) for variable in model.trainable_variables}
    return [variable for variable in variables_without_masks(model) if id(variable) in trained]


@contextlib.contextmanager
def _alike_drawn() -> Iterator[None]:
    """Let whatever draws from global generators draw the same each time; leave them as they were."""
    # Keras's own generators are variables, held back by the scope. TensorFlow has none until it is seeded.
    context = vars(tf_context.context())
    kept = random.getstate(), np.random.get_state()
    seeds = {name: context[name] for name in ("_seed", "_rng") if name in context}
    random.seed(0)
    np.random.seed(0)
    tf.random.set_seed(0)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        for name in ("_seed", "_rng"):
            context.pop(name, None)
        context.update(seeds)


def _in_order(model: keras.Model) -> list[tuple[str, keras.Variable]]:
    return [(str(index), variable) for index, variable in enumerate(variables_without_masks(model))]


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(value))


def _equal(first: _Answer, second: _Answer, close: bool = False) -> bool:
    ours, theirs = first.parts(), second.parts()
    if len(ours) != len(theirs) or (not close and first.written.keys() != second.written.keys()):
        return False
    return all(_same(a, b, close) for a, b in zip(ours, theirs, strict=True))


def _learns_alike(first: _Answer, second: _Answer, kept: Sequence[Any]) -> bool:
    """Whether gradients are the same, but for rounding and for what is pruned. Args: kept: of `_kept`."""
    for ours, theirs, remains in zip(first.gradients, second.gradients, kept, strict=False):
        if (ours is None) != (theirs is None):
            return False
        if ours is not None:
            ours, theirs = ours[remains], theirs[remains]
            scale = float(np.max(np.abs(ours), initial=0.0))
            if not np.allclose(ours, theirs, rtol=1e-2, atol=1e-4 * scale, equal_nan=True):
                return False
    return True


def _kept(source: keras.Model, copy: keras.Model) -> list[Any]:
    """Return, for what is trained, in its order, which weights neither model has pruned."""
    found = []
    for model in (source, copy):
        masks = {id(kernel): _numpy(held) for each in holders(model) for kernel, held in each.masked()}
        found.append([masks.get(id(variable), ...) for variable in _trained(model)])
    return [a if b is ... else b if a is ... else a & b for a, b in zip(*found, strict=True)]


def _same(a: np.ndarray, b: np.ndarray, close: bool) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind == "f" and close:
        scale = float(np.max(np.abs(a), initial=0.0))
        return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5 * max(scale, 1e-3), equal_nan=True))
    return a.tobytes() == b.tobytes() if a.dtype != object else bool((a == b).all())


def _unsteady(source: keras.Model, inputs: Any, training: bool, first: _Answer, other: _Answer) -> bool:
    """Whether the device gives the source itself other bits each time, and the copy is within that."""
    again = _answer(source, inputs, training)
    return not _equal(first, again) and _equal(first, again, close=True) and _equal(first, other, close=True)


def _flags(source: keras.Model, copy: keras.Model, by_name: bool) -> str | None:
    """What is trainable, regularized and constrained, variable by variable."""
    trainable = [{id(v) for v in model.trainable_variables} for model in (source, copy)]
    names = named_variables(source)
    if by_name:  # a layer may have one more, a bias
        there = named_variables(copy)
        pairs = [(path, names[path], there[path]) for path in names if path in there]
    else:
        pairs = list(zip(names, names.values(), variables_without_masks(copy), strict=False))
    for path, ours, theirs in pairs:
        if (id(ours) in trainable[0]) != (id(theirs) in trainable[1]):
            return f"{path} is {'trainable' if id(theirs) in trainable[1] else 'frozen'} in the copy only"
        if ours.shape != theirs.shape:
            continue
        for name in ("regularizer", "constraint"):
            asked = [getattr(variable, name, None) for variable in (ours, theirs)]
            if any(asked) and not _same(*(_asked_of(name, each, ours) for each in asked), False):
                return f"{path} has another {name} in the copy"
    return None


def _asked_of(name: str, function: Callable | None, variable: keras.Variable) -> np.ndarray:
    """What a regularizer or a constraint makes of a variable; None makes 0 or the same of it."""
    value = ops.convert_to_tensor(variable)
    nothing = value if name == "constraint" else ops.zeros((), value.dtype)
    return _numpy(nothing if function is None else function(value))


def _where(source: keras.Model, copy: keras.Model, inputs: Any, training: bool) -> str:
    """Return the first layer at which two models differ, in words; nothing where that can't be told."""
    try:
        traces = [_trace(model, inputs, training) for model in (source, copy)]
    except Exception:  # a graph of layers is needed
        return ""
    for (name, ours), (_, theirs) in zip(*traces, strict=False):
        if len(ours) != len(theirs) or not all(_same(a, b, False) for a, b in zip(ours, theirs, strict=True)):
            return f", from {name!r} on"
    return ""


def _trace(model: keras.Model, inputs: Any, training: bool) -> list[tuple[str, Sequence[np.ndarray]]]:
    found = []

    def recorded(operation):
        def call(*args, **kwargs):
            if isinstance(operation, keras.Layer) and operation._call_has_training_arg:
                kwargs["training"] = training
            outputs = operation(*args, **kwargs)
            flat = tf.nest.flatten(outputs, expand_composites=True)
            found.append((operation.name, [_numpy(each) for each in flat]))
            return outputs

        return call

    graph = getattr(model, "_functional", model)
    with _Reads():
        graph._run_through_graph(graph._standardize_inputs(inputs), operation_fn=recorded)
    return found
