"""The command `connectivity`, as typed."""

import json
import shutil
from pathlib import Path

import pytest

import tests
from tests.cli.test_cli import SMALL, cli, printed_without

QUICK = ["model={name: mlp, kwargs: {sizes: [20]}}", "training.xla=false", "training.engine=dense"]
FORKED = ["arms={ticket: {}, fork: {rounds: [0, 1]}}", "replicates=2", "pruning.rounds=1"]
SETTINGS = [part for setting in (*QUICK, *FORKED) for part in ("--set", setting)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A directory with a study that was measured; what the command printed."""
    cwd = tmp_path_factory.mktemp("connectivity")
    assert cli("run", "digits_quick", *SMALL, *SETTINGS, cwd=cwd)[0] == 0
    return cwd, cli("connectivity", "digits_quick", cwd=cwd)


def test_it_prints_a_line_for_each_arm_and_round_and_what_they_mean(measured):
    code, out, err = measured[1]
    assert (code, err) == (0, "")
    lines = out.splitlines()
    rows = [line.split() for line in lines if line.startswith("fork of ticket ")]
    assert [row[3:7] for row in rows] == [["0", "100.0%", "0it", "2"], ["1", "81.4%", "0it", "2"]]
    assert "the highest error on 30 points of the line" in out
    assert "recalibrated" not in out, "the network has no batch normalization"
    assert max(map(len, lines)) <= 100


def test_what_was_measured_is_told_again_without_tensorflow(measured):
    cwd, (_, out, _) = measured
    told = ["connectivity", "digits_quick"]
    commands = told, [*told, "--json"], ["verdict", "digits_quick"]
    again, as_json, verdict = printed_without({"tensorflow", "keras"}, *commands, cwd=cwd)
    assert again == out
    rows = json.loads(as_json)
    assert [(row["replicate"], row["round"]) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(len(row["errors"]["test"]) == 30 for row in rows)
    assert "Error barrier on test data between ticket and fork at round 1" in verdict


def test_gc_leaves_and_rm_deletes_what_was_measured(measured, tmp_path):
    shutil.copytree(measured[0] / "saved_models", tmp_path / "saved_models")
    file = tmp_path / "saved_models/digits_quick/connectivity.json"
    assert cli("gc", "digits_quick", cwd=tmp_path)[0] == 0
    assert file.exists()
    assert cli("rm", "digits_quick", "--yes", cwd=tmp_path)[0] == 0
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points", "2"], "Error: Expected at least 3 points"),
        (["--points", "two"], "Invalid value for '--points'"),
    ],
)
def test_what_is_not_right_is_refused(measured, arguments, message):
    code, out, err = cli("connectivity", "digits_quick", *arguments, cwd=measured[0])
    assert (code, out) == (2, "")
    assert message in err


def test_a_study_without_forks_is_told_what_to_add(tmp_path):
    shutil.unpack_archive(Path(tests.__file__).with_name("version_0_1.zip"), tmp_path / "saved_models")
    code, out, err = cli("connectivity", "study", cwd=tmp_path)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "Add arms: {ticket: {}, fork: {rounds: [0, 3]}}" in err
