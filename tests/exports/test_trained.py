import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import tf_lottery as lottery
from tf_lottery import config_file
from tf_lottery.cli import app
from tf_lottery.config import DataConfig
from tf_lottery.data import sources
from tf_lottery.data.split import PIXEL
from tf_lottery.errors import LotteryError
from tf_lottery.exports.trained import trained_run
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.store.tickets import make_ticket


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies") / "small"
    settings = [
        "training.steps=300it",
        "training.evaluate_every=50it",
        "training.xla=false",
        "pruning.rounds=2",
        "arms={ticket: {}}",
    ]
    return StudyPaths(root), lottery.run_study("digits_quick", root, overrides=settings)


@pytest.mark.parametrize("round", [0, 1, 2])
def test_it_is_the_network_of_the_record(study, round):
    paths, records = study
    run = trained_run(paths, round=round)
    record = next(record for record in records if record.spec.round == round)
    outputs = run.model(run.dataset.test.x).numpy()
    accuracy = np.mean(outputs.argmax(1) == run.dataset.test.y)
    assert accuracy == pytest.approx(record.early_stop_test_accuracy, abs=1e-9)
    zeros = sum(int((kernel == 0).sum()) for kernel in run.model.get_weights() if kernel.ndim > 1)
    assert zeros == record.weights_total - record.weights_remaining
    assert (run.record.key, run.provenance["round"]) == (record.key, round)
    dense = run.original(run.dataset.test.x).numpy()
    assert np.array_equal(dense, trained_run(paths, round=0).model(run.dataset.test.x).numpy())


def test_the_sparsest_round_within_so_many_points(study):
    paths, records = study
    by_round = {record.spec.round: record.early_stop_validation_accuracy for record in records}
    losses = {round: by_round[0] - by_round[round] for round in (1, 2)}
    assert trained_run(paths, within=losses[2]).record.spec.round == 2
    below = losses[2] - 0.001
    if losses[1] <= below:
        assert trained_run(paths, within=below).record.spec.round == 1
    else:
        with pytest.raises(LotteryError, match="No pruned round is within"):
            trained_run(paths, within=below)
    assert trained_run(paths, density=0.65).record.spec.round == 2


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"round": 7}, "Expected a finished round: 0 to 2. Received: 7"),
        ({"density": 0.01}, "Expected a density near one of 1, 0.802, 0.6"),
        ({"density": float("nan")}, "Expected --density as a finite number. Received: nan"),
        ({"within": float("nan")}, "Expected --within as a finite number. Received: nan"),
        ({"within": -1.0}, r"No pruned round is within -1 of the dense network \(round 0: "),
        (
            {"round": 1, "within": 0.1},
            "Expected one of round, density and within. Received: round=1, within=0.1",
        ),
        ({"replicate": 3}, "Expected a finished dense run of replicate 3"),
    ],
)
def test_rounds_that_there_are_not_are_refused(study, choice, said):
    with pytest.raises(LotteryError, match=said):
        trained_run(study[0], **choice)


def pixels():
    """What the study of standardized inputs loads."""
    digits = sources.load(DataConfig(name="digits")).arrays()
    return digits | {name: np.round(digits[name] * 255).astype(np.uint8) for name in ("x_train", "x_test")}


LOAD = "tests.exports.test_trained:pixels"


@pytest.fixture(scope="module")
def standardized(tmp_path_factory):
    paths = StudyPaths(tmp_path_factory.mktemp("studies") / "standardized")
    data = {"load": LOAD, "validation": 200, "share": 0.5, "standardize": True}
    settings = [f"data={data}", "training.steps=100it", "training.evaluate_every=50it", "pruning.rounds=1"]
    settings += ["training.xla=false"]
    return paths, lottery.run_study("digits_quick", paths.root, overrides=[*settings, "arms={ticket: {}}"])


def test_a_network_of_standardized_inputs_comes_with_what_they_were_standardized_with(standardized):
    paths, (_, record) = standardized
    run = trained_run(paths, round=1, load=LOAD)
    numbers = record.resolved["standardized"]
    assert run.provenance["standardized"] == run.dataset.standardized == numbers
    assert len(run.dataset.train) == 600
    inputs = pixels()["x_test"][..., np.newaxis] * PIXEL
    standard = ((inputs - np.array(numbers["mean"])) / np.array(numbers["deviation"])).astype(np.float32)
    assert standard.tobytes() == run.dataset.test.x.tobytes()
    accuracy = np.mean(run.model(standard).numpy().argmax(1) == run.dataset.test.y)
    assert accuracy == pytest.approx(record.early_stop_test_accuracy, abs=1e-9)
    assert accuracy > 0.5
    ticket = make_ticket(load(paths), Store(paths), record)
    assert ticket.provenance["standardized"] == numbers


def test_a_standardized_study_is_exported_and_its_report_says_so(standardized, tmp_path):
    paths, _ = standardized
    arguments = [
        "export",
        str(paths.root),
        "--round",
        "1",
        "--data",
        LOAD,
        "-f",
        "savedmodel",
        "--no-latency",
    ]
    output = tmp_path / "small"
    found = CliRunner().invoke(app, [*arguments, "-o", str(output), "--pixels"])
    assert "--pixels scales pixels by 1/255 only" in str(found.exception)
    found = CliRunner().invoke(app, [*arguments, "-o", str(output)], catch_exceptions=False)
    report = json.loads((tmp_path / "small.report.json").read_text())
    mean = report["provenance"]["standardized"]["mean"]
    assert f"(mean {mean[0]}, deviation" in found.output
    assert report["rows"][0]["verified"]["accuracy"] > 0.5
    assert "standardized" in report["words"][-1]


def test_the_reports_of_other_studies_say_nothing_of_it(study):
    assert "standardized" not in trained_run(study[0], round=1).provenance
    assert "standardized" not in study[1][0].resolved


def test_weights_that_were_not_kept_are_refused(study, tmp_path):
    shutil.copytree(study[0].root, tmp_path / "copy")
    paths = StudyPaths(tmp_path / "copy")
    paths.run(study[1][1].key).weights_early_stop.unlink()
    with pytest.raises(LotteryError, match="they weren't kept. Run the study again with --set storage.keep"):
        trained_run(paths, round=1)


def test_an_arm_with_data_of_its_own_is_exported_with_that_data(tmp_path):
    digits = sources.load(DataConfig(name="digits"))
    parts = {"train": (digits.x_train, digits.y_train), "test": (digits.x_test, digits.y_test)}
    arrays = {}
    for part, (x, y) in parts.items():
        arrays |= {f"x_{part}": x[y < 4], f"y_{part}": y[y < 4]}
    np.savez(tmp_path / "four.npz", **arrays)
    four = {"name": "npz", "path": str(tmp_path / "four.npz"), "validation": 100}
    settings = {
        "name": "own",
        "data": {"name": "digits", "validation": 300},
        "training": {"steps": "20it", "evaluate_every": "20it"},
        "pruning": {"rounds": 1},
        "arms": {"own": {"like": "ticket", "data": four}},
    }
    records = lottery.run_study(config_file.validate(settings), tmp_path / "study")
    trained = trained_run(StudyPaths(tmp_path / "study"), round=1)
    assert trained.record.key == records[1].key
    assert trained.dataset.classes == 4
    assert trained.provenance["data_digest"] == records[1].spec.data.digest
    outputs = trained.model.predict(trained.dataset.test.x, verbose=0)
    accuracy = float((outputs.argmax(-1) == trained.dataset.test.y).mean())
    assert accuracy == pytest.approx(records[1].early_stop_test_accuracy, abs=1e-6)
