"""`tf-lottery export`: a study's round or a model's file, as typed."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import tf_lottery as lottery
from tests import fresh
from tests.exports.models import dense_net, trained_ticket
from tf_lottery.cli import app, export_run
from tf_lottery.config import DataConfig
from tf_lottery.data import sources
from tf_lottery.errors import LotteryError

SETTINGS = [
    "training.xla=false",
    "training.steps=300it",
    "training.evaluate_every=50it",
    "pruning.rounds=2",
    "arms={ticket: {}}",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with a finished study `small`."""
    root = tmp_path_factory.mktemp("work")
    lottery.run_study("digits_quick", root / "saved_models/small", overrides=SETTINGS)
    return root


@pytest.fixture
def work(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def refused(*arguments):
    found = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert isinstance(found.exception, LotteryError), found.exception or found.output
    assert "\n" not in str(found.exception)
    return str(found.exception)


def test_a_round_as_one_file(work):
    pytest.importorskip("ai_edge_litert")
    output = work / "lenet.tflite"
    arguments = [
        "small",
        "--round",
        "2",
        "-f",
        "litert",
        "--weights",
        "float",
        "-o",
        str(output),
        "--no-latency",
    ]
    found = CliRunner().invoke(app, ["export", *arguments], catch_exceptions=False)
    assert found.exit_code == 0
    assert "Round 2 of replicate 0: validation accuracy" in found.output
    assert "1 of 1, litert float: writing" in found.output
    assert "litert float" in found.output
    report = json.loads((work / "lenet.tflite.report.json").read_text())
    assert report["provenance"]["round"] == 2
    assert report["original"] == "the network before pruning"
    assert report["rows"][0]["verified"]["accuracy"] > 0.8
    before = output.read_bytes()
    assert "already exists. Use --force" in refused(*arguments)
    assert output.read_bytes() == before


def test_a_file_of_keras_with_data_of_one_s_own(work, digits):
    pytest.importorskip("ai_edge_litert")
    trained_ticket(digits, epochs=2).save("mine.keras")
    train, test = digits.train, digits.test
    np.savez("mine.npz", x_train=train.x, y_train=train.y, x_test=test.x, y_test=test.y)
    arguments = ["mine.keras", "-f", "litert", "--data", "mine.npz", "--no-latency"]
    found = CliRunner().invoke(app, ["export", *arguments], catch_exceptions=False)
    assert found.exit_code == 0
    written = work / "saved_models/mine_export_litert_float.tflite"
    assert written.read_bytes()[4:8] == b"TFL3"
    assert "checked on 397 test examples" in found.output


def digits_again():
    """Data of a user's own function."""
    return sources.load(DataConfig(name="digits")).arrays()


def test_data_may_be_a_function_of_ones_own(work, digits):
    name = "tests.cli.test_export_run:digits_again"
    found = export_run._dataset(name)
    assert (len(found.train), found.standardized) == (1399, None)
    assert found.test.x.tobytes() == digits.test.x.tobytes()
    assert "Expected no --data" in refused("small", "--round", "1", "--data", name)


def test_what_there_is_not_is_refused(work):
    assert "a .keras file. Received: 'smal'" in refused("smal")
    assert "(small)" in refused("smal")
    (work / "nothing").mkdir()
    assert "(small), or a .keras file. Received: 'nothing'" in refused("nothing")
    assert "Expected format as one of savedmodel" in refused("small", "-f", "pb")
    assert "Expected a finished round: 0 to 2" in refused("small", "--round", "9")
    (work / "broken.keras").write_bytes(b"PK\x03\x04 not a model")
    assert "broken.keras is cut off, or isn't a .keras file" in refused("broken.keras")
    (work / "searched").mkdir(exist_ok=True)
    (work / "searched/search.json").write_text("{}")
    assert "Export a search in Python: lottery.export(result.trained()" in refused("searched")


def test_a_ticket_without_trained_weights_is_refused_with_a_word_on_how_to_train_it(work):
    lottery.Ticket.of(lottery.make_prunable(dense_net())).save("ticket.npz")
    said = refused("ticket.npz")
    assert "a ticket without trained weights, so there is nothing to export. Train it first: model = " in said


@pytest.mark.slow
def test_as_typed_by_validation_accuracy(work):
    command = [sys.executable, "-m", "tf_lottery", "export", "small", "--within", "20", "-f", "savedmodel"]
    code, _, err = fresh.run(*command[3:], "--pixels", module="tf_lottery")
    assert code == 2, err
    assert "uint8 pixels" in err  # scikit-learn's digits are floats already
    options = ["--warmup", "--labels", "a,b,c,d,e,f,g,h,i,j", "--no-latency"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Export: saved_models/small_round02_savedmodel_packed" in done.stdout
    there = work / "saved_models/small_round02_savedmodel_packed"
    assert (there / "assets.extra/tf_serving_warmup_requests").exists()
    assert keras.layers.TFSMLayer(there, call_endpoint="serving_default")(np.zeros((1, 8, 8, 1), "float32"))


def test_quiet_prints_where_the_export_is_and_nothing_else(work):
    pytest.importorskip("ai_edge_litert")
    output = work / "quiet.tflite"
    arguments = ["small", "--round", "1", "-f", "litert", "-o", str(output), "--no-latency", "--quiet"]
    found = CliRunner().invoke(app, ["export", *arguments], catch_exceptions=False)
    assert (found.exit_code, found.stdout, found.stderr) == (0, f"Result: {output}\n", "")
    assert output.exists()
    assert "already exists" in refused(*arguments)


def test_options_that_would_do_nothing_are_refused(work):
    dense_net().save("plain.keras")
    assert "are for studies, and plain.keras is a model" in refused("plain.keras", "--round", "2")
    assert "are for studies, and plain.keras is a model" in refused("plain.keras", "--replicate", "1")
    assert "--data is for .keras files, and a study has data of its own" in refused(
        "small", "--round", "1", "--data", "mnist"
    )


def test_a_file_that_is_cut_off_is_called_that(work):
    dense_net().save("cut.keras")
    content = (work / "cut.keras").read_bytes()
    (work / "cut.keras").write_bytes(content[: len(content) // 2])
    assert "cut.keras is cut off, or isn't a .keras file" in refused("cut.keras")
