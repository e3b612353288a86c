"""The examples, as typed, in their small setting."""

import ast
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fresh

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


SOONER = (
    "import tensorflow, tf_lottery.exports.measure as timing; timing.SECONDS = 0.05;"
    "tensorflow.config.experimental.enable_op_determinism();"
)
"""Times of exports prove nothing here; and where operations are deterministic, Keras leaves XLA out."""


def printed(name, *arguments, cwd, xla=False):
    """Run an example where no file of ours lies; return what it printed, and its warnings."""
    script = f"import runpy; runpy.run_path({str(EXAMPLES / name)!r}, run_name='__main__')"
    script = script if xla else SOONER + script
    code, out, err = fresh.run("--small", *arguments, script=script, cwd=cwd)
    assert code == 0, err
    assert "Traceback" not in err
    assert not list(cwd.iterdir())
    return out, err


def densities(out):
    """Return what the table of a search says: arm and round -> density."""
    rows = re.findall(r"^(dense|ticket|random_reinit\S*) +(\d+) +[\d,]+ +([\d.]+%)", out, re.M)
    return {(arm, int(round)): density for arm, round, density in rows}


def percent(pattern, out):
    return [float(found) for found in re.search(pattern, out).groups()]


def lines(name):
    """Return the lines of an example below its docstring."""
    source = (EXAMPLES / name).read_text()
    return source.splitlines()[ast.parse(source).body[0].end_lineno :]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_can_be_pasted(path):
    source = path.read_text()
    assert len(source.splitlines()) < 110
    assert "threads" not in source
    assert ast.get_docstring(ast.parse(source))


def test_the_search_is_three_changed_lines_and_an_import():
    before, after = lines("fit_before.py"), lines("fit_after.py")
    diff = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert [line[2:] for line in diff if line[0] == "+" and "import" in line] == [
        "import tf_lottery as lottery"
    ]
    changed = [line for line in diff if "import" not in line and line[2:]]
    assert [line[0] for line in changed].count("-") == [line[0] for line in changed].count("+") == 3
    assert "tf_lottery" not in "\n".join(before)


def test_fit_before(tmp_path):
    """As typed, from the shell's own beginning."""
    command = [sys.executable, EXAMPLES / "fit_before.py", "--small"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    out = run.stdout
    assert percent(r"Validation accuracy, best epoch: ([\d.]+)", out)[0] > 0.85
    assert percent(r"Test accuracy: ([\d.]+)", out)[0] > 0.85


@pytest.mark.slow
def test_fit_after(tmp_path):
    out, _ = printed("fit_after.py", cwd=tmp_path, xla=True)
    found = densities(out)
    assert [found["ticket", round] for round in range(1, 5)] == ["50.0%", "25.0%", "12.5%", "6.3%"]
    assert found.keys() >= {("dense", 0), ("random_reinit", 4)}
    assert "* Sparsest matching ticket: round " in out
    assert "The same mask, randomly reinitialized: " in out
    assert percent(r"Test accuracy: ([\d.]+)", out)[0] > 0.85


@pytest.mark.slow
def test_subclassed(tmp_path):
    out, _ = printed("subclassed.py", cwd=tmp_path)
    assert "17,024 of 17,226 weights (98.8%) are prunable" in out
    assert densities(out) == {
        ("dense", 0): "100.0%",
        ("ticket", 1): "50.0%",
        ("random_reinit", 1): "50.0%",
        ("ticket", 2): "25.0%",
        ("random_reinit", 2): "25.0%",
    }
    dense, ticket = percent(r"Test accuracy: dense ([\d.]+)%, ticket ([\d.]+)%", out)
    assert min(dense, ticket) > 75


@pytest.mark.slow
def test_regression(tmp_path):
    out, _ = printed("regression.py", cwd=tmp_path)
    found = densities(out)
    assert found["dense", 0] == "100.0%"
    assert (found["ticket", 2], found["random_reinit", 2]) == ("36.0%", "36.0%")
    assert "* Sparsest matching ticket: round " in out
    assert "The same mask, randomly reinitialized: " in out
    (dense,) = percent(r"Test, dense network: off by (\d+\.\d)", out)
    (mean,) = percent(r"always the mean of the training targets: off by (\d+\.\d)", out)
    assert dense < mean


def test_tracker(tmp_path):
    out, _ = printed("tracker.py", cwd=tmp_path)
    assert "The file has 2 runs and 6 evaluations." in out
    assert len(re.findall(r"^ticket +[01] +(?:100.0|80.2)% +[\d.]+% [\d.]+%$", out, re.M)) == 2


@pytest.mark.slow
def test_a_tracker_has_the_curves_of_runs_that_workers_trained(tmp_path):
    assert (
        "The file has 2 runs and 6 evaluations." in printed("tracker.py", "--workers", "2", cwd=tmp_path)[0]
    )


def test_custom_loop(tmp_path):
    out, _ = printed("custom_loop.py", cwd=tmp_path)
    rounds = re.findall(r"^Round \d: +([\d.]+)% of the weights, validation ([\d.]+)%$", out, re.M)
    assert [density for density, _ in rounds] == ["100.0", "62.7", "39.8"]
    assert all(float(accuracy) > 60 for _, accuracy in rounds)
    assert "The last ticket has 2,944 weights; the plain model has 4,456 zeros." in out


@pytest.mark.slow
def test_transfer(tmp_path):
    out, err = printed("transfer.py", cwd=tmp_path)
    assert densities(out)["ticket", 2] == "25.0%"
    assert re.findall(r"^(dense|ticket|random masks) +[\d.]+%  \([\d.]+%\)$", out, re.M) == [
        "dense",
        "ticket",
        "random masks",
    ]
    assert percent(r"Three classes: ([\d.]+)%, 25.0% of the weights", out)[0] > 75
    assert "output/kernel has (100, 3), not (100, 5)" in err


@pytest.mark.slow
def test_transformer(tmp_path):
    out, _ = printed("transformer.py", "--sentences", ROOT / "tests/data/sentences_small.json", cwd=tmp_path)
    found = densities(out)
    assert (found["ticket", 2], found["random_reinit", 2]) == ("49.0%", "49.0%")
    assert re.search(r"^ +49.0% ticket +[\d.]+%$", out, re.M)
    assert re.search(r"^ +0 ( +[\d.]+%){7}$|no pruned round matches", out, re.M)


@pytest.mark.slow
def test_ship(tmp_path):
    out, _ = printed("ship.py", cwd=tmp_path)
    assert "savedmodel packed" in out
    assert "litert int8" in out
    assert percent(r"Served test accuracy: (\d\.\d+)", out)[0] > 0.5
