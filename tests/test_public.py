"""Every public name has a docstring with an example, and the examples are true."""

import doctest
import inspect
import sys

import pytest

import tf_lottery as lottery

NAMES = [name for name in lottery.__all__ if name != "callbacks"]
CALLBACKS = lottery.callbacks.__all__


def examples(thing, name):
    found = doctest.DocTestFinder(recurse=False).find(
        thing, name, module=sys.modules[thing.__module__], globs={}
    )
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", [*NAMES, *CALLBACKS])
def test_the_example_of_a_public_name_is_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thing = getattr(lottery.callbacks if name in CALLBACKS else lottery, name)
    assert inspect.getdoc(thing)
    (test,) = examples(thing, name)
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_public_methods_are_described():
    for name in NAMES:
        thing = getattr(lottery, name)
        if inspect.isclass(thing):
            for method, member in vars(thing).items():
                if inspect.isfunction(member) and not method.startswith("_"):
                    assert inspect.getdoc(getattr(thing, method)), f"{name}.{method}"


def test_names_that_there_are_not_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'LoterySearch'"):
        _ = lottery.LoterySearch
