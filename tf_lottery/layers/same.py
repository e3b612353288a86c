"""Compares a copy of a model with the model: same outputs, same gradients, and no shared variables."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_lottery.errors import reason_of
from tf_lottery.layers.inputs import draw_inputs
from tf_lottery.layers.paths import holders, named_variables, variables_without_masks
from tf_lottery.layers.recorded import RecordedCall, RecordingScope, record_call, to_numpy, trained_variables


def difference(source: keras.Model, copy: keras.Model, inputs: Any = None, close: bool = False) -> str | None:
    """Return how a copy differs from its source, or None if it is the same.

    Both are called on the same inputs, in inference and in training, and compared bit for
    bit: the outputs, the losses that layers add, and what the call writes (statistics, seeds). Neither
    model changes. A copy that reads a variable of its source, because an operation or a user's function
    refers to it, isn't the same. Regularizers, constraints and what is trainable are compared, too.

    Args:
        source: A built model, plain or prunable.
        copy: Its copy, plain or prunable.
        inputs: Examples in the structure that the models' call takes. By default they are drawn, which works
            for models that declare their inputs.
        close: Whether outputs may differ by rounding, because the copy adds fewer zeros. Then only
            inference is compared, since such a copy draws other numbers in training.
    """
    if reason := _different_flags(source, copy, by_name=close):
        return reason
    with _raw_variables_kept(source), _raw_variables_kept(copy):
        return _different_calls(source, copy, inputs, close)


def _different_calls(source: keras.Model, copy: keras.Model, inputs: Any, close: bool) -> str | None:
    calls = _source_calls(source, inputs)
    if isinstance(calls, str):
        return calls
    inputs, source_calls = calls
    foreign = {id(v) for v in source.variables} - {id(v) for v in copy.variables}
    for training, expected in source_calls.items():
        if close and training:
            continue
        try:
            call = record_call(copy, inputs, training)
        except Exception as error:  # the user's layers may raise anything
            return f"the copy fails: {reason_of(error)}"
        if call.read & foreign:
            names = [path for path, v in named_variables(source).items() if id(v) in call.read & foreign]
            return f"an operation or function in the copy uses the model's own {(names or ['variables'])[0]}"
        if _equal(expected, call, close):
            if expected.gradients and not _equal_gradients(expected, call, _kept_weights(source, copy)):
                return "the copy's gradients differ"
            continue
        if close or not _within_noise(source, inputs, training, expected, call):
            return f"the copy's outputs differ{_where(source, copy, inputs, training)}"
    return None


@contextlib.contextmanager
def _raw_variables_kept(model: keras.Model) -> Iterator[None]:
    """Restore TensorFlow's own variables after the calls, which no scope of Keras holds back."""
    raw = [v for layer in model._flatten_layers() for v in vars(layer).values() if isinstance(v, tf.Variable)]
    values = [(variable, variable.numpy()) for variable in raw]
    try:
        yield
    finally:
        for variable, value in values:
            variable.assign(value)


def _source_calls(source: keras.Model, inputs: Any) -> tuple[Any, dict[bool, RecordedCall]] | str:
    """Return inputs that a model takes and its calls on them, by training or not; otherwise a reason."""
    if inputs is None and not getattr(source, "inputs", None):
        return "no inputs can be drawn for the model"
    reason = ""
    candidates = [inputs] if inputs is not None else _input_candidates(source)
    for candidate in candidates:
        try:
            return candidate, {mode: record_call(source, candidate, mode) for mode in (False, True)}
        except Exception as error:  # the user's layers may raise anything
            reason = reason_of(error)
    return f"the model fails on inputs {'drawn for it' if inputs is None else 'of the data'}: {reason}"


def _input_candidates(source: keras.Model) -> Iterator[Any]:
    yield from draw_inputs(source)
    yield from draw_inputs(source, indices=range(len(source.inputs)))  # floats may stand for indices


def _equal(first: RecordedCall, second: RecordedCall, close: bool = False) -> bool:
    parts, other_parts = first.parts(), second.parts()
    if len(parts) != len(other_parts) or (not close and first.written.keys() != second.written.keys()):
        return False
    return all(_same(a, b, close) for a, b in zip(parts, other_parts, strict=True))


def _equal_gradients(first: RecordedCall, second: RecordedCall, kept: Sequence[Any]) -> bool:
    """Return whether gradients of the kept weights (see `_kept_weights`) are the same up to rounding."""
    for gradient, other, remains in zip(first.gradients, second.gradients, kept, strict=False):
        if (gradient is None) != (other is None):
            return False
        if gradient is not None:
            gradient, other = gradient[remains], other[remains]
            scale = float(np.max(np.abs(gradient), initial=0.0))
            if not np.allclose(gradient, other, rtol=1e-2, atol=1e-4 * scale, equal_nan=True):
                return False
    return True


def _kept_weights(source: keras.Model, copy: keras.Model) -> list[Any]:
    """Return, for each trainable variable in order, an index of the weights that neither model has pruned."""
    indices = []
    for model in (source, copy):
        pairs = [pair for holder in holders(model) for pair in holder.masked()]
        masks = {id(kernel): to_numpy(kernel_mask) for kernel, kernel_mask in pairs}
        indices.append([masks.get(id(variable), ...) for variable in trained_variables(model)])
    return [a if b is ... else b if a is ... else a & b for a, b in zip(*indices, strict=True)]


def _same(a: np.ndarray, b: np.ndarray, close: bool) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind == "f" and close:
        scale = float(np.max(np.abs(a), initial=0.0))
        return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5 * max(scale, 1e-3), equal_nan=True))
    return a.tobytes() == b.tobytes() if a.dtype != object else bool((a == b).all())


def _within_noise(
    source: keras.Model, inputs: Any, training: bool, first: RecordedCall, other: RecordedCall
) -> bool:
    """Return whether the source itself gives other bits on each call, and the copy is as close as that."""
    again = record_call(source, inputs, training)
    return not _equal(first, again) and _equal(first, again, close=True) and _equal(first, other, close=True)


def _different_flags(source: keras.Model, copy: keras.Model, by_name: bool) -> str | None:
    """Return which variable isn't trainable, regularized or constrained in the same way, if there is one."""
    trainable = [{id(v) for v in model.trainable_variables} for model in (source, copy)]
    names = named_variables(source)
    if by_name:  # a layer of the copy may have one variable more, a bias
        copy_names = named_variables(copy)
        pairs = [(path, names[path], copy_names[path]) for path in names if path in copy_names]
    else:
        pairs = list(zip(names, names.values(), variables_without_masks(copy), strict=False))
    for path, variable, counterpart in pairs:
        if (id(variable) in trainable[0]) != (id(counterpart) in trainable[1]):
            return (
                f"{path} is {'trainable' if id(counterpart) in trainable[1] else 'frozen'} in the copy only"
            )
        if variable.shape != counterpart.shape:
            continue
        for name in ("regularizer", "constraint"):
            functions = [getattr(each, name, None) for each in (variable, counterpart)]
            if any(functions) and not _same(*(_applied(name, each, variable) for each in functions), False):
                return f"{path} has another {name} in the copy"
    return None


def _applied(name: str, function: Callable | None, variable: keras.Variable) -> np.ndarray:
    """Return what a regularizer or constraint gives for a variable; without one, 0 or the variable itself."""
    value = ops.convert_to_tensor(variable)
    default = value if name == "constraint" else ops.zeros((), value.dtype)
    return to_numpy(default if function is None else function(value))


def _where(source: keras.Model, copy: keras.Model, inputs: Any, training: bool) -> str:
    """Return words for the first layer at which two models differ, or "" if that can't be determined."""
    try:
        traces = [_trace(model, inputs, training) for model in (source, copy)]
    except Exception:  # only models that are a graph of layers can be traced
        return ""
    for (name, values), (_, others) in zip(*traces, strict=False):
        if len(values) != len(others) or not all(
            _same(a, b, False) for a, b in zip(values, others, strict=True)
        ):
            return f" from layer {name!r} on"
    return ""


def _trace(model: keras.Model, inputs: Any, training: bool) -> list[tuple[str, Sequence[np.ndarray]]]:
    """Return the name and the outputs of each layer and operation, in the order in which they are called."""
    outputs_by_name = []

    def recorded(operation):
        def call(*args, **kwargs):
            if isinstance(operation, keras.Layer) and operation._call_has_training_arg:
                kwargs["training"] = training
            outputs = operation(*args, **kwargs)
            flat = tf.nest.flatten(outputs, expand_composites=True)
            outputs_by_name.append((operation.name, [to_numpy(each) for each in flat]))
            return outputs

        return call

    graph = getattr(model, "_functional", model)
    with RecordingScope():
        graph._run_through_graph(graph._standardize_inputs(inputs), operation_fn=recorded)
    return outputs_by_name
