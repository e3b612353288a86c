"""What lies on the disk, and when it is believed."""

import json

import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store

CURVES = {"step": [0, 20], "validation_loss": [2.0, 1.0]}


@pytest.fixture
def store(tmp_path):
    return Store(StudyPaths(tmp_path / "study"))


def finish(store, **changes):
    spec = fake_spec(**changes)
    run = store.begin(spec.key)
    digest = store.write_curves(run, CURVES)
    return store.finish(fake_record(spec, digests={"curves": digest}))


def test_a_run_is_finished_when_its_record_is_there(store):
    assert (store.records(), store.find(fake_spec().key)) == ([], None)
    with pytest.raises(LotteryError, match="There is no finished run"):
        store.record(fake_spec().key)
    record = finish(store)
    assert store.records() == [record]
    assert store.find(record.key) == Store(store.paths).record(record.key) == record


def test_records_of_other_processes_are_seen_and_gone_ones_are_not(store):
    first = finish(store)
    assert store.records() == [first]
    second = finish(Store(store.paths), order_seed=2)
    assert {record.key for record in store.records()} == {first.key, second.key}
    store.paths.run(first.key).record.unlink()
    assert store.records() == [second]


def test_a_record_that_is_written_anew_is_read_anew(store):
    finish(store)
    again = fake_record(fake_spec(), steps_per_second=1.5, digests={"curves": "c" * 64})
    Store(store.paths).finish(again)
    assert store.record(again.key).steps_per_second == 1.5


def test_finishing_leaves_nothing_behind(store):
    run = store.begin(fake_spec().key)
    run.rewind.mkdir()
    for path in (
        run.checkpoint,
        run.progress,
        run.failed,
        run.root / ".masks.npz.ab12_xyz",  # as version 0.1 left it
        run.rewind / ".0it.npz.ab12_xyz.tf_lottery",
        run.root / ".mine",
    ):
        path.write_text("x")
    finish_in_place = store.finish(fake_record(fake_spec()))
    assert sorted(p.name for p in run.root.rglob("*") if p.is_file()) == [".mine", "record.json"]
    assert finish_in_place.key == fake_spec().key


def test_a_run_begins_empty_unless_it_goes_on(store):
    run = store.begin(fake_spec().key)
    run.checkpoint.write_text("c")
    assert store.begin(fake_spec().key, go_on=True).checkpoint.exists()
    assert not store.begin(fake_spec().key).checkpoint.exists()


def test_curves_are_verified(store):
    record = finish(store)
    assert store.curves(record.key) == CURVES
    path = store.paths.run(record.key).curves
    path.write_text(json.dumps(CURVES | {"step": [0, 21]}))
    with pytest.raises(DamagedError) as raised:
        store.curves(record.key)
    assert (raised.value.key, raised.value.path) == (record.key, path)


def test_another_versions_record_is_passed_over(store, monkeypatch):
    finish(store)
    monkeypatch.setattr("tf_lottery.store.record_file.RECORD_VERSION", 99)
    assert Store(store.paths).records() == []


def test_one_process_claims_a_run(store):
    with store.claim("0123") as mine, Store(store.paths).claim("0123") as second:
        assert (mine, second) == (True, False)
