"""The page on adding to tf_lottery: its code, run as a user would, in modules of one's own."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import fresh
from tf_lottery import arrays, config_file
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/extending.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.S | re.M)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
YAML = [text for kind, text in BLOCKS if kind == "yaml"]
COMMANDS = [line for kind, text in BLOCKS if kind == "" for line in text.splitlines()]
STUDY = StudyPaths(Path("saved_models/study"))


def file_of(text):
    return text.splitlines()[0].removeprefix("# ")


def write(folder):
    """Write the page's modules and its study as files."""
    for text in [*PYTHON, YAML[-1]]:
        (folder / file_of(text)).write_text(text)


def run(command, cwd):
    """Run a command of the page as typed."""
    program, *arguments = command.split()
    assert program == "tf-lottery"
    code, out, err = fresh.run(*arguments, module="tf_lottery", cwd=cwd)
    return code, out, err.strip()


def test_every_block_is_a_module_a_part_of_the_study_or_a_command():
    assert {kind for kind, _ in BLOCKS} == {"python", "yaml", ""}
    modules = [file_of(text) for text in PYTHON]
    assert modules == [f"my_{what}.py" for what in ("criteria", "arms", "stops", "models", "data", "claims")]
    assert [file_of(text) for text in YAML] == ["a part of study.yaml"] * (len(YAML) - 1) + ["study.yaml"]
    whole = yaml.safe_load(YAML[-1])
    for text in YAML[:-1]:
        for section, settings in yaml.safe_load(text).items():
            assert whole[section] == settings, section
    assert config_file.validate(whole | {"name": "study"}).imports == whole["imports"]


def test_the_criterion_is_lamp():
    names = {}
    exec(PYTHON[0].replace('CRITERIA["lamp"] = lamp', ""), names)
    weights = {"a": np.array([[3.0, -1.0], [0.0, 2.0]], np.float32), "b": np.zeros((2, 1), np.float32)}
    scores = names["lamp"](names["CRITERIA"] and type("Evidence", (), {"weights": weights}))
    np.testing.assert_allclose(scores["a"], [[9 / 9, 1 / 14], [0, 4 / 13]])
    assert not scores["b"].any()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run the page's study with two workers, as the page says."""
    folder = tmp_path_factory.mktemp("extending")
    write(folder)
    *_, command, _ = COMMANDS
    code, out, err = run(command, folder)
    assert (code, err) == (0, "")
    return folder, out


def records(folder):
    found = Store(StudyPaths(folder / STUDY.root)).records()
    return {(r.spec.arm, r.spec.replicate, r.spec.round): r for r in found}


@pytest.mark.slow
def test_the_study_of_the_page_trains_what_it_adds(trained):
    folder, out = trained
    assert "14 runs" in out
    assert "Tickets with noise on their initial weights lose less than a point" in out
    found, store = records(folder), Store(StudyPaths(folder / STUDY.root))
    assert len(found) == 14
    dense, ticket = found["ticket", 0, 0], found["ticket", 0, 1]
    perturbed = found["perturbed", 0, 1]
    # The model and the data.
    assert [len(dense.layers), dense.weights_total] == [3, 30 * 64 + 64 * 32 + 32 * 2]
    assert dense.parameters_total == dense.weights_total + 64 + 32 + 2
    # The criterion: recomputed from the dense network's last weights.
    names = {}
    exec(PYTHON[0].replace('CRITERIA["lamp"] = lamp', ""), names)
    last = {n.removeprefix("model/"): v for n, v in store.weights(dense.key).items() if n.endswith("kernel")}
    scores = names["lamp"](type("Evidence", (), {"weights": last}))
    masks = store.masks(ticket.key)
    kept = np.concatenate([scores[path][mask] for path, mask in masks.items()])
    pruned = np.concatenate([scores[path][~mask] for path, mask in masks.items()])
    assert (len(kept), kept.min() >= pruned.max()) == (dense.weights_total // 2, True)
    # The arm: the same masks, other weights.
    assert perturbed.spec.start == "perturb"
    assert arrays.digest(store.masks(perturbed.key)) == arrays.digest(masks)
    assert perturbed.digests["weights_last"] != ticket.digests["weights_last"]
    # The stop: a file for each run, which the workers wrote.
    initial = store.rewind_point(dense.key, 0)
    for record in found.values():
        rows = json.loads((folder / "signs" / f"{record.key[:16]}.json").read_text())
        assert [step for step, _ in rows] == [0, 100, 200]
        if record in (dense, ticket):
            last, masks = store.weights(record.key), store.masks(record.key)
            begun = {f"model/{path}": initial[f"model/{path}"] * mask for path, mask in masks.items()}
            changed = sum(np.count_nonzero(np.sign(last[n]) != np.sign(w)) for n, w in begun.items())
            assert [rows[0][1], rows[-1][1]] == [0, changed]
            assert changed or record is ticket


@pytest.mark.slow
def test_commands_that_read_import_what_is_named_and_else_say_what_to_name(trained):
    folder, _ = trained
    show, verdict = COMMANDS[0], COMMANDS[-1]
    code, out, _ = run(show, folder)
    assert (code, len(re.findall(r"^perturbed ", out, re.M))) == (0, 4)
    code, out, _ = run(verdict, folder)
    assert code == 0
    assert "Tickets with noise on their initial weights lose less than a point." in out
    for command in ("show", "verdict", "gc"):
        code, out, err = run(f"tf-lottery {command} study", folder)
        assert (code, out) == (2, "")
        assert re.fullmatch(
            r"Error: Expected .*Its config imports my_criteria, .*: use `tf-lottery --import .*", err
        )
    assert run("tf-lottery list", folder)[0] == 0
