"""The commands that look closer, as typed: `classes`, `weights`, `inputs`."""

import json
import shutil

import pytest

from tests.cli.test_cli import SMALL, cli, printed_without

QUICK = ["model={name: mlp, kwargs: {sizes: [20]}}", "training.xla=false", "training.engine=dense"]
ARMS = ["arms={ticket: {}, random_reinit: {rounds: [2]}}", "replicates=2"]
SETTINGS = [part for setting in (*QUICK, *ARMS) for part in ("--set", setting)]
COMMANDS = ("classes", "weights", "inputs")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("closer")
    assert cli("run", "digits_quick", *SMALL, *SETTINGS, cwd=cwd)[0] == 0
    return cwd


def printed(command, *arguments, cwd):
    code, out, err = cli(command, "digits_quick", *arguments, cwd=cwd)
    assert (code, err) == (0, ""), err
    return out


def never(constant):
    raise AssertionError(f"{constant} isn't JSON")


def test_classes_prints_tables_of_a_round(finished):
    out = printed("classes", "--round", "2", cwd=finished)
    rows = [line.split() for line in out.splitlines()]
    assert [row[:2] for row in rows if row[:1] == ["random_reinit"]] == [["random_reinit", "2"]] * 2
    assert sum(row[:2] == ["ticket", "2"] for row in rows) == 2 + 10, "summary, calibration, ten classes"
    assert [row[:3] for row in rows if row[:1] == ["dense"]] == [
        ["dense", "dense", "0"],
        ["dense", "ticket", "2"],
        ["dense", "random_reinit", "2"],
    ]
    assert "Classes of the other arms: --json." in out
    assert max(map(len, out.splitlines())) <= 120


def test_inputs_prints_a_picture_and_a_table(finished):
    lines = printed("inputs", "--round", "2", cwd=finished).splitlines()
    assert lines[0] == "Weights of hidden1/kernel that remain for each pixel: ticket, round 2"
    assert lines[1] == lines[10] == "+----------------+"
    assert all(len(line) == 18 and line[0] == line[-1] == "|" for line in lines[2:10])
    assert [line.split()[0] for line in lines[-2:]] == ["ticket", "random_reinit"]


def test_json_is_json_and_holds_what_the_tables_do(finished):
    parts = {
        "classes": {"summaries": 3, "by_class": 30, "churn": 3},
        "weights": {"distributions": 2 * (2 + 2 + 1), "chosen": 2},
        "inputs": {"inputs": 2},
    }
    for command, counts in parts.items():
        text = printed(command, "--round", "2", "--json", cwd=finished)
        found = json.loads(text, parse_constant=never)
        assert found.pop("round") == 2
        assert {name: len(rows) for name, rows in found.items()} == counts
    (ticket, _) = found["inputs"]
    assert (len(ticket["counts"]), len(ticket["counts"][0])) == (8, 8)


def test_without_a_round_the_sparsest_matching_one_is_shown_or_the_last(finished):
    shown = {json.loads(printed(each, "--json", cwd=finished))["round"] for each in COMMANDS}
    assert len(shown) == 1
    assert shown <= {1, 2}


def test_weights_are_read_without_tensorflow(finished):
    (out,) = printed_without(
        {"tensorflow", "keras"}, ["weights", "digits_quick", "--round", "2"], cwd=finished
    )
    assert "The weights that these start from aren't kept in the study: random_reinit 2." in out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_round_that_was_not_trained_is_refused_in_one_line(finished, command):
    code, out, err = cli(command, "digits_quick", "--round", "9", cwd=finished)
    assert (code, out) == (2, "")
    assert err == "Error: Expected a round with finished runs: 0, 1, 2. Received: 9\n"


def test_the_dense_network_has_no_pruned_inputs(finished):
    code, out, err = cli("inputs", "digits_quick", "--round", "0", cwd=finished)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "Expected the --round of a pruned network" in err


def test_damaged_weights_are_told_in_one_line(finished, tmp_path):
    shutil.copytree(finished / "saved_models", tmp_path / "saved_models")
    for file in tmp_path.glob("saved_models/digits_quick/runs/*/weights_*.npz"):
        file.write_bytes(file.read_bytes()[:-20])
    for command in ("classes", "weights"):
        code, out, err = cli(command, "digits_quick", "--round", "2", cwd=tmp_path)
        assert (code, out, len(err.splitlines())) == (2, "", 1), err
        assert "weights_" in err


def test_what_is_no_study_such_as_a_search_is_refused_in_one_line(tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found/search.json").write_text("{}")
    for command in COMMANDS:
        code, out, err = cli(command, "found", cwd=tmp_path)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "found is a search, not a study" in err
