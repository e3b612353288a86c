"""What a user's type checker sees of the package. (`make lint` then checks `typed_user.py` against it.)"""

import ast
import inspect
import sys
import tomllib
import typing
from pathlib import Path

import keras
import keras_tuner
import pytest

import tf_lottery as lottery

ROOT = Path(__file__).parent.parent
CALLBACKS = [getattr(lottery.callbacks, name) for name in lottery.callbacks.__all__]
PUBLIC = [getattr(lottery, name) for name in lottery.__all__ if name != "callbacks"] + CALLBACKS


def functions(thing):
    """Yield a public function, or the constructor, the public methods and the properties of a class."""
    if not inspect.isclass(thing):
        yield thing
        return
    for name, member in vars(thing).items():
        member = getattr(member, "__func__", getattr(member, "fget", member))
        own = inspect.isfunction(member) and member.__module__ == thing.__module__
        if own and (name == "__init__" or not name.startswith("_")):
            yield member


def hints(function):
    names = {**vars(sys.modules[function.__module__]), "keras": keras}
    names |= {name: getattr(keras_tuner, name) for name in ("HyperModel", "HyperParameters")}
    names |= {"Build": typing.Any, "Settings": typing.Any, "Checkpoint": typing.Any}
    return typing.get_type_hints(function, names)


def classes(hint):
    """Yield our own classes in an annotation."""
    if inspect.isclass(hint) and hint.__module__.startswith("tf_lottery."):
        yield hint
    for part in typing.get_args(hint):
        yield from classes(part)


def checked():
    """Return the modules that mypy checks whole."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    return {
        name
        for each in settings["overrides"]
        if each.get("ignore_errors") is False
        for name in each["module"]
    }


def test_a_checker_sees_the_names_that_are_loaded_when_they_are_used():
    tree = ast.parse(Path(lottery.__file__).read_text())
    (block,) = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {}
    for node in block.body:
        (alias,) = node.names
        assert alias.asname == alias.name, "without `as` the name isn't exported"
        seen[alias.name] = node.module
    assert seen == {**lottery._PUBLIC, "callbacks": "tf_lottery"}
    assert "__getattr__" in ast.unparse(block.orelse), "a checker that saw it would accept every name"


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_public_signatures_are_annotated(thing):
    for function in functions(thing):
        signature = inspect.signature(function)
        for name, parameter in signature.parameters.items():
            assert name == "self" or name == "cls" or parameter.annotation is not parameter.empty, (
                function,
                name,
            )
        assert function.__name__ == "__init__" or signature.return_annotation is not signature.empty, function


def test_mypy_checks_the_modules_of_public_names_and_of_what_they_take_and_return():
    needed = {thing.__module__ for thing in PUBLIC} | {
        "tf_lottery",
        "tf_lottery.callbacks",
        "tests.typed_user",
    }
    for thing in PUBLIC:
        for function in functions(inspect.unwrap(thing)):
            needed |= {each.__module__ for hint in hints(function).values() for each in classes(hint)}
    assert needed <= checked()
    assert (Path(lottery.__file__).with_name("py.typed")).exists()
