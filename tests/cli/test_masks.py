"""`tf-lottery masks` on a small study."""

import json

import pytest
from typer.testing import CliRunner

import tf_lottery as lottery
from tf_lottery.cli import app
from tf_lottery.errors import LotteryError

SETTINGS = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=2", "replicates=2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    directory = tmp_path_factory.mktemp("masks") / "study"
    lottery.run_study("digits_quick", directory, [*SETTINGS, "arms={ticket: {}, shuffled: {}}"])
    return str(directory)


def test_layers_what_is_shared_and_signs_are_told_of_one_round(study):
    output = CliRunner().invoke(app, ["masks", study, "--round", "1"]).output
    assert "round 1" in output
    assert "ticket and shuffled" in output
    assert "80.2%" in output
    assert "64.3%" not in output.split("Remaining weights")[0]  # that is round 2


def test_json_holds_all_rounds(study):
    found = json.loads(CliRunner().invoke(app, ["masks", study, "--json"]).stdout)
    assert {row["round"] for row in found["layers"]} == {1, 2}
    assert {row["what"] for row in found["shared"]} >= {"replicates of ticket", "ticket and shuffled"}
    assert all(0 <= row["agreement"] <= 1 for row in found["signs"])


def test_a_round_that_was_not_trained_is_refused(study):
    result = CliRunner().invoke(app, ["masks", study, "--round", "7"])
    assert isinstance(result.exception, LotteryError)
    assert str(result.exception) == "Expected --round of 1 to 2. Received: 7"
