"""The benchmarks' tables name what there is."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import steps

    return steps


def test_every_contender_is_a_function_that_takes_its_options(steps):
    import contenders

    for network in steps.NETWORKS:
        found = steps.contenders(network)
        assert sum(name.startswith("fit") for name in found) >= 4
        for contender in found.values():
            function = getattr(contenders, contender.function)
            options = dict(option.split("=", 1) for option in contender.options)
            inspect.signature(function).bind(network, cores=contender.cores, **options)


def test_ratios_and_medians_are_those_of_the_repeats(steps):
    results = {"a": {"speeds": [10.0, 30.0, 20.0]}, "b": {"speeds": [5.0, 10.0, 20.0]}}
    assert steps.median(results["a"]) == 20
    assert steps.ratio(results, "a", "b") == 2


def test_help_says_which_networks_there_are():
    command = [sys.executable, str(BENCHMARKS / "steps.py"), "--help"]
    assert "network" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    documented = ast.get_docstring(ast.parse((BENCHMARKS / "steps.py").read_text()))
    for network in ("lenet", "lenet_dropout", "conv2", "conv6", "resnet20", "transformer"):
        assert network in documented
