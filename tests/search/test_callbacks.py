"""Callbacks in a search: Keras's own start each round afresh, the user's are used as they are."""

import csv
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import callbacks

from tests.search.models import FIT, TRAIN, VALIDATION, search
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.search.afresh import Callbacks
from tf_lottery.search.fit_run import FitRun


def test_early_stopping_counts_its_patience_in_each_round():
    stopping = callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)  # nothing improves enough
    found = search().fit(*TRAIN, **{**FIT, "epochs": 6}, callbacks=[stopping])
    assert [len(h["loss"]) for h in found.history] == [2, 2, 2]


def test_a_plateau_lowers_the_rate_from_the_same_one_in_each_round():
    plateau = callbacks.ReduceLROnPlateau(monitor="loss", factor=0.1, patience=1, min_delta=1e9)
    found = search().fit(*TRAIN, **{**FIT, "epochs": 4}, callbacks=[plateau])
    rates = [h["learning_rate"] for h in found.history]
    assert rates[0] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    assert rates == [rates[0]] * 3


@pytest.mark.slow
def test_files_of_each_round_have_its_number_and_what_it_trained(tmp_path):
    kept = [
        callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_accuracy", save_best_only=True),
        callbacks.ModelCheckpoint(str(tmp_path / "last.weights.h5"), save_weights_only=True),
        callbacks.ModelCheckpoint(str(tmp_path / "at{epoch}.keras")),
        callbacks.CSVLogger(tmp_path / "log.csv"),
        callbacks.BackupAndRestore(str(tmp_path / "backup"), delete_checkpoint=False),
        callbacks.TensorBoard(str(tmp_path / "board")),
    ]
    found = search(rounds=1, controls=1).fit(*TRAIN, **FIT, callbacks=kept)
    rounds = ("round00", "round01", "round01_random_reinit1")
    files = {path.name for path in tmp_path.iterdir()}
    expected = {f"best.{r}.keras" for r in rounds} | {f"last.{r}.weights.h5" for r in rounds}
    expected |= {f"at{epoch}.{r}.keras" for r in rounds for epoch in (1, 2)} | {
        f"log.{r}.csv" for r in rounds
    }
    assert files == expected | {"backup", "board"}
    for folder, file in (("backup", "latest.weights.h5"), ("board", "train")):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == sorted(rounds)
        assert all((tmp_path / folder / r / file).exists() for r in rounds)
    for record, label in zip(found.rounds, rounds, strict=False):
        model = keras.models.load_model(tmp_path / f"best.{label}.keras")
        scores = model.evaluate(*VALIDATION, verbose=0, return_dict=True)
        assert scores["accuracy"] == pytest.approx(record.value)
        zeros = sum(int(np.sum(layer.layer.kernel.numpy() == 0)) for layer in model.layers)
        assert zeros == record.weights_total - record.weights_remaining
        with (tmp_path / f"log.{label}.csv").open() as file:
            assert [float(row["loss"]) for row in csv.DictReader(file)] == pytest.approx(
                record.history["loss"]
            )


@pytest.mark.parametrize(
    ("path", "labelled"),
    [
        ("best.keras", "best.r1.keras"),
        ("./a.b/best", "./a.b/best.r1"),
        ("w.weights.h5", "w.r1.weights.h5"),
        ("gs://bucket/{epoch:02d}-{val_loss:.2f}.keras", "gs://bucket/{epoch:02d}-{val_loss:.2f}.r1.keras"),
    ],
)
def test_paths_keep_their_form(path, labelled):
    given = (
        callbacks.ModelCheckpoint(path, save_weights_only=path.startswith("w."), save_best_only=False)
        if path.endswith((".keras", ".h5"))
        else callbacks.CSVLogger(path)
    )
    with Callbacks([given]).of("r1") as (fresh,):
        pass
    assert getattr(fresh, "filepath", None) == labelled or getattr(fresh, "filename", None) == labelled
    assert path in (getattr(given, "filepath", None), getattr(given, "filename", None))


@pytest.mark.slow
def test_the_users_own_object_is_used_as_it_is_even_of_a_class_derived_from_keras():
    class Mine(callbacks.EarlyStopping):
        begun = 0

        def on_train_begin(self, logs=None):
            super().on_train_begin(logs)
            self.begun += 1

    mine, seen = Mine(monitor="loss", patience=9), []
    each = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    search(rounds=1).fit(*TRAIN, **FIT, callbacks=[mine, each])
    assert mine.begun == 2
    assert seen == [0, 1, 0, 1]


def test_a_history_of_the_users_own_does_not_mix_the_rounds():
    given = callbacks.History()
    found = search(rounds=1).fit(*TRAIN, **FIT, callbacks=[given])
    assert [len(h["loss"]) for h in found.history] == [2, 2]
    assert [r.epochs for r in found.rounds] == [[1, 2], [1, 2]]
    assert given.history["loss"] == found.history[0]["loss"] + found.history[1]["loss"]


@pytest.mark.slow
def test_one_callback_need_not_be_in_a_list():
    found = search(rounds=1).fit(*TRAIN, **FIT, callbacks=callbacks.EarlyStopping(monitor="loss", patience=9))
    assert len(found.records) == 2


@pytest.mark.slow
def test_every_round_is_trained_by_one_fit(monkeypatch):
    trained = []
    train = FitRun._train
    monkeypatch.setattr(
        FitRun, "_train", lambda self, spec, *rest: trained.append(spec.round) or train(self, spec, *rest)
    )
    search(rounds=1).fit(*TRAIN, **{**FIT, "epochs": 1})
    assert trained == [0, 1]


def dense_run(states):
    record = {"first_step": 0, "last_step": 12, "epochs": [1, 2, 3], "monitor": "val_loss", "mode": "min"}
    run = FitRun(None, None, None, {"callbacks": [callbacks.EarlyStopping()], "epochs": 9}, None)
    run.learn(SimpleNamespace(**record, states=states))
    return run


def test_what_callbacks_had_changed_is_known_for_each_epoch_of_the_dense_run():
    run = dense_run({"0it": {"rate": 1}, "8it": {"rate": 2}})
    assert [run._callback_state_at(step)["rate"] for step in (3, 4, 7, 8, 12)] == [1, 1, 1, 2, 2]
    with pytest.raises(LotteryError, match="ended after 12 steps. Received: 16it"):
        run._callback_state_at(16)
    before = dense_run({"4it": {"rate": 1}})  # as version 0.1 recorded it, for its one rewind point
    assert before._callback_state_at(4) == {"rate": 1}
    with pytest.raises(StudyError, match="older version"):
        before._callback_state_at(8)
