"""The benchmarks' tables name what there is."""

import ast
import importlib
import inspect
import random
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


@pytest.fixture
def benchmark(monkeypatch):
    """Import a script of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_every_changed_byte_of_a_run_is_found_named_and_set_aside(benchmark, tmp_path):
    damage, chance = benchmark("damage"), random.Random(1)
    paths = damage.trained(tmp_path / "study")
    for path, place in damage.places(paths, 400):
        before = damage.change(path, place, chance)
        error = damage.noticed(paths, path)
        assert error is not None, (path, place)
        assert damage.set_aside(paths, error, path, before)
    assert len(list(damage.Store(paths).records())) == 3


@pytest.mark.slow
def test_a_study_that_is_killed_at_a_write_comes_out_the_same(benchmark, tmp_path):
    kill_points = benchmark("kill_points")
    (tmp_path / "whole").mkdir()
    points = kill_points.in_process(tmp_path / "whole")
    assert points > 300
    whole = kill_points.study(tmp_path / "whole")
    for at in (3, points // 2, points - 12):
        assert kill_points.killed(whole, at) == []


def test_help_says_which_networks_there_are():
    command = [sys.executable, str(BENCHMARKS / "steps.py"), "--help"]
    assert "network" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    documented = ast.get_docstring(ast.parse((BENCHMARKS / "steps.py").read_text()))
    for network in ("lenet", "lenet_dropout", "conv2", "conv6", "resnet20", "transformer"):
        assert network in documented
