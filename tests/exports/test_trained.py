import shutil

import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.exports.trained import trained_run
from tf_lottery.paths import StudyPaths


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies") / "small"
    settings = [
        "training.steps=300it",
        "training.evaluate_every=50it",
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


def test_weights_that_were_not_kept_are_refused(study, tmp_path):
    shutil.copytree(study[0].root, tmp_path / "copy")
    paths = StudyPaths(tmp_path / "copy")
    paths.run(study[1][1].key).weights_early_stop.unlink()
    with pytest.raises(LotteryError, match="they weren't kept. Run the study again with --set storage.keep"):
        trained_run(paths, round=1)
