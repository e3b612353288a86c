"""Finds out whether a user's functions and objects refer to a model, and so wouldn't see a copy of it."""

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

_MAX_DEPTH, _MAX_ITEMS = 6, 1000
_SET_BY_FIT = ("_model", "params")
_LIBRARIES = {"builtins", "keras", "tensorflow", "numpy", "tf_lottery", "typing", "abc", "pathlib"}
_OPAQUE = (
    *(type, types.ModuleType, np.ndarray, np.generic, tf.Variable, tf.Tensor),
    *(keras.Layer, keras.Variable, keras.metrics.Metric, keras.optimizers.Optimizer),
)


def refers(thing: Any, model: keras.Model) -> bool:
    """Return whether a user's function or object refers to a model, its layers or its variables."""
    own = {id(layer) for _, layer, _ in walk(model)} | {id(variable) for variable in model.variables}
    return any(id(each) in own for each in reachable([thing]))


def reachable(things: Sequence[Any]) -> Iterator[Any]:
    """Yield everything that a user's functions and objects refer to, including themselves.

    This follows closures, defaults, the globals that they use, attributes, and the items of lists and
    dictionaries, but not the contents of modules, classes, layers or arrays, nor what an earlier `fit` set
    on a callback.
    """
    stack, seen = [(thing, 0) for thing in things], set()
    while stack:
        each, depth = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if depth < _MAX_DEPTH:
            stack += [(referenced, depth + 1) for referenced in _references(each)]


def names_of_keras(cls: type, but: type = object) -> set[str]:
    """Return the attributes used by the methods that a class inherits from Keras, except those of `but`."""
    libraries = ("keras.", "tensorflow.")
    bases = [base for base in cls.__mro__ if base.__module__.startswith(libraries) and base is not but]
    methods = [method for base in bases for method in vars(base).values()]
    codes = [each.__code__ for each in map(_function, methods) if hasattr(each, "__code__")]
    return {name for code in codes for name in code.co_names}


def _function(method: Any) -> Any:
    if isinstance(method, property):
        return method.fset or method.fget
    return getattr(method, "__wrapped__", getattr(method, "__func__", method))


def _references(thing: Any) -> list[Any]:
    """Return what a user's function or object refers to directly."""
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, types.FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or () if _has_contents(cell)]
        globals_ = [thing.__globals__[n] for n in _global_names(thing.__code__) if n in thing.__globals__]
        return [*cells, *globals_, *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    if isinstance(thing, (list, tuple, set)):
        return list(itertools.islice(thing, _MAX_ITEMS))
    if isinstance(thing, dict):
        return list(itertools.islice(thing.values(), _MAX_ITEMS))
    if isinstance(thing, _OPAQUE):
        return []
    try:
        attributes = dict(getattr(thing, "__dict__", {}))
    except Exception:  # such as a proxy that has lost its object
        return []
    skipped = _SET_BY_FIT if isinstance(thing, keras.callbacks.Callback) else ()
    values = [value for name, value in attributes.items() if name not in skipped]
    return [*values, *_methods(type(thing))]


def _methods(cls: type) -> list[types.FunctionType]:
    """Return the functions of a user's own class, which may refer to globals."""
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in _LIBRARIES]
    functions = [_function(method) for base in own for method in vars(base).values()]
    return [function for function in functions if isinstance(function, types.FunctionType)]


def _global_names(code: types.CodeType) -> set[str]:
    names = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return names.union(*(_global_names(each) for each in inner))


def _has_contents(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
