"""Whether what a user wrote refers to a model itself, so that a copy of the model isn't what it sees."""

import dis
import functools
import itertools
import types
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.layers.paths import walk

_DEPTH, _MANY = 6, 1000
_TOLD = ("_model", "params")
_LIBRARIES = {"builtins", "keras", "tensorflow", "numpy", "tf_lottery", "typing", "abc", "pathlib"}
_WHOLE = (
    *(type, types.ModuleType, np.ndarray, np.generic, tf.Variable, tf.Tensor),
    *(keras.Layer, keras.Variable, keras.metrics.Metric, keras.optimizers.Optimizer),
)


def refers(thing: Any, model: keras.Model) -> bool:
    """Return whether a function or object of the user's refers to a model, its layers or its variables."""
    own = {id(layer) for _, layer, _ in walk(model)} | {id(variable) for variable in model.variables}
    return any(id(each) in own for each in reachable([thing]))


def reachable(things: Sequence[Any]) -> Iterator[Any]:
    """Yield what functions and objects of the user's hold, themselves included.

    Closures, defaults, globals that are named, attributes, what is in lists and dictionaries; not what is in
    modules, classes, layers or arrays, nor what a callback was told by an earlier `fit`.
    """
    stack, seen = [(thing, 0) for thing in things], set()
    while stack:
        each, depth = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if depth < _DEPTH:
            stack += [(found, depth + 1) for found in _held(each)]


def names_of_keras(cls: type, but: type = object) -> set[str]:
    """Return the attributes that the methods use which a class has from Keras, but those of one class."""
    libraries = ("keras.", "tensorflow.")
    bases = [base for base in cls.__mro__ if base.__module__.startswith(libraries) and base is not but]
    methods = [method for base in bases for method in vars(base).values()]
    codes = [each.__code__ for each in map(_function, methods) if hasattr(each, "__code__")]
    return {name for code in codes for name in code.co_names}


def _function(method: Any) -> Any:
    if isinstance(method, property):
        return method.fset or method.fget
    return getattr(method, "__wrapped__", getattr(method, "__func__", method))


def _held(thing: Any) -> list[Any]:
    """What a function, or an object of the user's, holds."""
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, types.FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
        globals_ = [thing.__globals__[n] for n in _global_names(thing.__code__) if n in thing.__globals__]
        return [*cells, *globals_, *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    if isinstance(thing, (list, tuple, set)):
        return list(itertools.islice(thing, _MANY))
    if isinstance(thing, dict):
        return list(itertools.islice(thing.values(), _MANY))
    if isinstance(thing, _WHOLE):
        return []
    try:
        held = dict(getattr(thing, "__dict__", {}))
    except Exception:  # what stands for another object, and has none now
        return []
    found = [value for name, value in held.items() if name not in _TOLD or not _is_callback(thing)]
    return [*found, *_methods(type(thing))]


def _methods(cls: type) -> list[types.FunctionType]:
    """The functions of a class of the user's own: they may refer to what is global."""
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in _LIBRARIES]
    functions = [_function(method) for base in own for method in vars(base).values()]
    return [function for function in functions if isinstance(function, types.FunctionType)]


def _is_callback(thing: Any) -> bool:
    return isinstance(thing, keras.callbacks.Callback)


def _global_names(code: types.CodeType) -> set[str]:
    names = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return names.union(*(_global_names(each) for each in inner))


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
