"""The Python of docs/keras.md, as it stands there, and the README's diff."""

import ast
import difflib
import re
from pathlib import Path

import keras
import pytest
from keras import layers

import tf_lottery as lottery

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/keras.md").read_text(), re.S)


def block(text):
    (found,) = [b for b in BLOCKS if text in b]
    return found


@pytest.fixture
def names(digits):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(20, "relu"), layers.Dense(10, name="output")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    train, validation = digits.train, digits.validation
    return {"model": model, "x": train.x, "y": train.y, "x_val": validation.x, "y_val": validation.y}


@pytest.mark.slow
def test_a_search(names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("LotterySearch").replace("0.005", "0.05"), names)
    assert "Sparsest matching ticket" in capsys.readouterr().out
    assert names["ticket"].density == pytest.approx(0.11, abs=0.01)
    assert (tmp_path / "tickets.png").read_bytes()[:4] == b"\x89PNG"
    assert type(names["small"].get_layer("output")) is layers.Dense


def test_the_arms_of_a_search(names):
    exec(block("arms = {"), names)
    search = lottery.LotterySearch(names["model"], arms=names["arms"], verbose=0)
    assert list(search._settings.arms.configs) == ["ticket", *names["arms"]]


def test_tuning_a_search(names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shorter = {
        "0.005": "1.0",
        "candidates=10": "candidates=1",
        '"rounds": 6': '"rounds": 1',
        "epochs=5": "epochs=1",
    }
    code = block("LotteryTuner")
    for given, short in shorter.items():
        assert given in code
        code = code.replace(given, short)
    exec(code, names | {"keras": keras, "lottery": lottery})
    assert "* Best candidate, units 50, rate 0.1: tickets match down to 90.00%" in capsys.readouterr().out


def test_rounds_by_hand_and_tickets(names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("RewindSnapshot").replace("epochs=5", "epochs=2"), names)
    assert lottery.sparsity(names["model"]) == pytest.approx(0.186, abs=0.001)
    names["ticket"] = lottery.Ticket.of(
        names["model"], {"architecture": lottery.strip(names["model"]).to_json()}
    )
    exec(block("ticket.save"), names)
    assert "They start from different weights." in capsys.readouterr().out
    assert (names["control"].masks["output/kernel"] == names["ticket"].masks["output/kernel"]).all()


def _below_docstring(path):
    source = path.read_text()
    return source.splitlines()[ast.parse(source).body[0].end_lineno :]


def test_the_diff_of_the_readme_is_that_of_the_examples():
    before, after = (_below_docstring(ROOT / "examples" / f"fit_{kind}.py") for kind in ("before", "after"))
    changed = [
        line
        for line in difflib.unified_diff(before, after, n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line != "+"
    ]
    (shown,) = re.findall(r"```diff\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert [line for line in shown.splitlines() if line[:1] in "+-"] == changed
    assert sum(line.startswith("+") for line in changed) == 4


@pytest.mark.slow
def test_rounds_by_hand_around_fit(digits, capsys):
    names = {"x": digits.train.x, "y": digits.train.y}
    names |= {"x_val": digits.validation.x, "y_val": digits.validation.y}
    exec(block("set_weights(theta_0)"), names)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["100.0%", "81.4%", "66.3%", "54.1%", "44.3%"]
    assert all(float(row.rstrip("]").split()[-1]) > 0.9 for row in rows)
    survivors = names["plain"].get_layer("output").kernel.numpy()
    assert (survivors != 0).sum() == 590
