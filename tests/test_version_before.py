"""Directories that version 0.1 wrote go on: nothing that is finished there is trained again."""

import shutil
from pathlib import Path

import keras
import pytest
from sklearn.datasets import load_digits

import tf_lottery as lottery

STUDY = [
    "name=before",
    "model={build: 'tests.training.networks:with_dropout'}",
    "training.steps=60it",
    "training.evaluate_every=20it",
    "pruning.rounds=2",
    "arms={ticket: {}, random_reinit: {rounds: [1]}}",
    "rewind.to=20it",
]


@pytest.fixture
def before(tmp_path):
    shutil.unpack_archive(Path(__file__).with_name("version_0_1.zip"), tmp_path)
    return tmp_path


def written(root):
    return {path: path.stat().st_mtime_ns for path in root.glob("runs/*/record.json")}


def small():
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def search(directory, rounds, engine):
    x, y = load_digits(return_X_y=True)
    settings = {"rate": 0.5, "rewind_to": "1ep", "controls": 1, "engine": engine, "verbose": 0}
    found = lottery.LotterySearch(small, rounds=rounds, directory=directory, **settings)
    x = (x / 16).astype("float32")[:600]
    return found.fit(x, y[:600], validation_split=0.2, epochs=3, batch_size=60)


def test_a_finished_study_is_finished(before):
    there = written(before / "study")
    records = lottery.run_study("digits_quick", before / "study", STUDY)
    assert [record.spec.describe() for record in records] == [
        "ticket replicate 0 round 0",
        "ticket replicate 0 round 1",
        "random_reinit replicate 0 round 1",
        "ticket replicate 0 round 2",
    ]
    assert len(there) == 4
    assert written(before / "study") == there
    assert {record.environment["tf_lottery"] for record in records} == {"0.1.0"} != {lottery.__version__}


def test_a_study_that_is_extended_trains_what_is_new(before):
    there = written(before / "study")
    records = lottery.run_study("digits_quick", before / "study", [*STUDY, "pruning.rounds=3"])
    now = written(before / "study")
    assert len(now) == len(there) + 1
    assert there.items() <= now.items()
    assert records[-1].spec.round == 3
    assert records[-1].first_step == 20


@pytest.mark.parametrize("engine", ["fit", "loop"])
def test_a_search_goes_on(before, engine):
    directory = before / f"search_{engine}"
    there = written(directory)
    assert len(there) == 5
    result = search(directory, 2, engine)
    assert written(directory) == there
    assert len(result.records) == 5
    assert result.ticket(round=2).density == 0.25
    further = search(directory, 3, engine)
    now = written(directory)
    assert len(now) == 7
    assert there.items() <= now.items()
    assert further.rounds[3].spec.round == 3
