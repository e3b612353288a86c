"""Files of strangers: nothing that they name is called, imported or overwritten; odd ones are one line."""

import io
import json
import os
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tests.fakes import fake_record, fake_spec, fake_study
from tf_lottery import arrays, atomic
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.exports.trained import trained_run
from tf_lottery.paths import StudyPaths
from tf_lottery.store import record_file
from tf_lottery.store.adopt import Elsewhere
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import written
from tf_lottery.ticket import FORMAT

CALLED = []


def emptied(**settings):
    """What a stranger's file would have called."""
    CALLED.append(settings)
    raise AssertionError("a function was called because a file names it")


def ticket(**provenance):
    masks = {"hidden/kernel": np.ones((4, 2), bool)}
    return lottery.Ticket(masks, {"hidden/kernel": np.ones((4, 2), np.float32)}, {}, provenance)


def of_function(**known):
    model = {"build": "tests.store.test_strangers:emptied"}
    return ticket(model=model, input_shape=[4], classes=2, **known)


def test_a_ticket_calls_no_function_that_it_names(tmp_path):
    of_function().save(tmp_path / "theirs.npz")
    with pytest.raises(
        LotteryError, match="The ticket names 'tests.store.test_strangers:emptied'.*give build="
    ):
        lottery.Ticket.load(tmp_path / "theirs.npz").reinitialize(0)
    assert not CALLED
    build = lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2, use_bias=False, name="hidden")])  # noqa: E731
    assert lottery.Ticket.load(tmp_path / "theirs.npz").reinitialize(0, build=build).density == 1


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "system", "module": "os", "config": {"command": "true"}, "registered_name": None},
        {"class_name": "Lambda", "module": "keras.layers", "config": {}, "registered_name": None},
        {"class_name": "Mine", "module": "os", "config": {}, "registered_name": "theirs>Mine"},
        {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
    ],
)
def test_an_architecture_imports_no_module_that_it_names(layer):
    config = {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [layer]}}
    with pytest.raises(LotteryError, match=f"Received: '{layer['class_name']}'.*Give build="):
        ticket(architecture=json.dumps(config)).reinitialize(0)


def test_an_architecture_of_keras_is_built_by_name():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, use_bias=False, name="hidden")])
    found = ticket(architecture=model.to_json()).reinitialize(1)
    assert (found.weights["hidden/kernel"] != 1).all()


def test_a_study_is_exported_by_the_builder_that_one_names(tmp_path):
    name = "tests.store.test_strangers:emptied"
    paths = StudyPaths(tmp_path / "study")
    Store(paths).write_study(written(fake_study(model={"build": name})))
    with pytest.raises(LotteryError, match=f"Expected --build {name}.*Received: none"):
        trained_run(paths)
    with pytest.raises(LotteryError, match=f"Expected --build {name}.*Received: os:remove"):
        trained_run(paths, build="os:remove")
    assert not CALLED
    Store(paths).write_study(written(fake_study()))
    with pytest.raises(LotteryError, match="Expected no --build.*Received: os:remove. Leave it out"):
        trained_run(paths, build="os:remove")


def test_a_study_is_exported_on_the_data_that_one_names(tmp_path):
    name = "tests.store.test_strangers:emptied"
    paths = StudyPaths(tmp_path / "study")
    Store(paths).write_study(written(fake_study(data={"load": name, "digest": "d" * 64})))
    with pytest.raises(LotteryError, match=f"Expected --data {name}.*Received: none"):
        trained_run(paths)
    with pytest.raises(LotteryError, match=f"Expected --data {name}.*Received: os:remove"):
        trained_run(paths, load="os:remove")
    assert not CALLED
    Store(paths).write_study(written(fake_study()))
    with pytest.raises(LotteryError, match="Expected no --data.*Received: os:remove. Leave it out"):
        trained_run(paths, load="os:remove")


@pytest.mark.parametrize("name", ["../../keep", "/tmp/keep", "rewind/../../keep", "mask", "rewind/0it/../x"])
def test_a_neighbours_record_that_leads_elsewhere_is_damaged_and_not_taken_over(tmp_path, name):
    (tmp_path / "keep.npz").write_text("mine")
    theirs = Store(StudyPaths(tmp_path / "saved/theirs"))
    theirs.write_study(written(fake_study()))
    spec = fake_spec()
    theirs.finish(fake_record(spec))
    record = theirs.paths.run(spec.key).record
    content = json.loads(record.read_text())
    content["digests"] = {name: "a" * 64}
    reseal(record, content)
    with pytest.raises(DamagedError):
        Store(theirs.paths).find(spec.key)
    mine = Store(StudyPaths(tmp_path / "saved/mine"))
    assert not Elsewhere(mine).adopt(spec, print)
    assert (tmp_path / "keep.npz").read_text() == "mine"
    with pytest.raises(ValueError, match="name of a run's file"):
        theirs.paths.run(spec.key).artefact(name)


def reseal(path, content):
    content.pop("digest", None)
    atomic.write_json(path, content | {"digest": record_file.digest(content)})


@pytest.mark.parametrize(
    "change",
    [
        {"weights_total": 0},
        {"weights_remaining": -1},
        {"weights_remaining": 10**6},
        {"early_stop_iteration": 10**400},
        {"last_step": 2**60},
        {"layers": {"hidden/kernel": {"total": 0, "remaining": 0}}},
        {"environment": {"python": "\ud800"}},
        {"files": {"masks": "x"}},
        {"final_test_loss": "NaN"},
        {"spec": []},
    ],
    ids=str,
)
def test_records_that_were_sealed_with_impossible_contents_are_damaged(tmp_path, change):
    store = Store(StudyPaths(tmp_path / "study"))
    spec = fake_spec()
    path = store.paths.run(spec.key).record
    store.finish(fake_record(spec))
    reseal(path, json.loads(path.read_text()) | change)
    with pytest.raises(DamagedError, match=r"The record .*record.json is damaged"):
        store.find(spec.key)


def test_a_record_in_another_runs_place_is_damaged_and_set_aside(tmp_path):
    store = Store(StudyPaths(tmp_path / "study"))
    spec, other = fake_spec(), "0" * 16
    store.finish(fake_record(spec))
    os.rename(store.paths.run(spec.key).root, store.paths.runs / other)
    with pytest.raises(DamagedError, match=f"it is the record of run '{spec.key[:16]}'") as caught:
        store.records()
    assert store.set_aside(caught.value) == store.paths.damaged / f"{other}-1"
    assert store.records() == []
    (store.paths.runs / "copy of a run").mkdir()
    assert store.names() == []


def test_a_record_that_was_written_otherwise_is_damaged(tmp_path):
    store = Store(StudyPaths(tmp_path / "study"))
    store.finish(fake_record(fake_spec()))
    path = store.paths.run(fake_spec().key).record
    path.write_text(path.read_text().replace("  ", "   ", 1))
    with pytest.raises(DamagedError, match="its form isn't the one in which records are written"):
        store.find(fake_spec().key)


def packed(content, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            with archive.open(f"{name}.npy", "w") as file:
                file.write(data)


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def test_a_ticket_that_would_be_far_larger_than_its_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGE_BYTES", 10**6)
    packed({"masks/a": npy(np.ones(10**8, bool)[: 2 * 10**7])}, tmp_path / "bomb.npz")
    assert (tmp_path / "bomb.npz").stat().st_size < 10**5
    with pytest.raises(LotteryError, match="bytes that would unpack to 20,000"):
        lottery.Ticket.load(tmp_path / "bomb.npz")


HEADERS = {
    "deep": '{"format": ' + "[" * 10**5 + "]" * 10**5 + "}",
    "list": "[]",
    "number": "7",
    "provenance": json.dumps({"format": FORMAT, "version": 1, "digest": "", "provenance": [1]}),
    "version": json.dumps({"format": FORMAT, "version": [1], "digest": "", "provenance": {}}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_odd_headers_are_one_line(tmp_path, name):
    packed({"header": npy(np.array(HEADERS[name]))}, tmp_path / "odd.npz")
    with pytest.raises(LotteryError, match="Expected a ticket") as caught:
        lottery.Ticket.load(tmp_path / "odd.npz")
    assert "\n" not in str(caught.value)


def test_the_provenance_is_under_the_digest_and_version_1_is_read(tmp_path):
    ticket(study="mine").save(tmp_path / "new.npz")
    content = arrays.load(tmp_path / "new.npz")
    header = json.loads(str(content.pop("header")))
    assert header["version"] == 2
    changed = header | {"provenance": {"study": "yours"}}
    arrays.save(tmp_path / "new.npz", content | {"header": np.array(json.dumps(changed))})
    with pytest.raises(LotteryError, match="fails its checksum"):
        lottery.Ticket.load(tmp_path / "new.npz")
    old = header | {"version": 1, "digest": arrays.digest(content)}
    arrays.save(tmp_path / "old.npz", content | {"header": np.array(json.dumps(old))})
    assert lottery.Ticket.load(tmp_path / "old.npz").provenance == {"study": "mine"}


def test_masks_of_weights_that_the_ticket_has_not_are_refused(tmp_path):
    masks = {"hidden/kernel": np.ones((4, 2), bool), "gone/kernel": np.zeros((4, 2), bool)}
    odd = lottery.Ticket(masks, {"hidden/kernel": np.ones((4, 2), np.float32)})
    odd.save(tmp_path / "odd.npz")
    with pytest.raises(LotteryError, match="gone/kernel has a mask of shape .* and no weights"):
        lottery.Ticket.load(tmp_path / "odd.npz")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, use_bias=False, name="hidden")])
    with pytest.raises(LotteryError, match="Received: gone/kernel, which has no weights"):
        odd.apply(model)
