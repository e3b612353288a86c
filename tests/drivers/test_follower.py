import threading
import time

import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery.drivers import follower
from tf_lottery.drivers.follower import FollowerStore
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store

DIGESTS = {"masks": "a" * 64, "weights_last": "b" * 64}


@pytest.fixture
def paths(tmp_path):
    return StudyPaths(tmp_path / "study")


def record(**digests):
    return fake_record(fake_spec(), digests=DIGESTS | digests)


def chief_writes(paths, mine, after=0.0):
    def write():
        time.sleep(after)
        store = Store(paths)
        store.begin(mine.key)
        store.finish(mine)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_it_waits_for_the_chiefs_study_and_leaves_it_alone(paths, monkeypatch):
    monkeypatch.setattr(follower, "STUDY_PATIENCE_SECONDS", 0.2)
    with pytest.raises(LotteryError, match="The chief hasn't written .*study.yaml within 0.2 s"):
        FollowerStore(paths).write_study("name: mine")
    paths.root.mkdir()
    paths.study.write_text("name: the chief's")
    FollowerStore(paths).write_study("name: mine")
    assert paths.study.read_text() == "name: the chief's"


def test_it_writes_nothing_in_the_studys_directory(paths, tmp_path):
    store = FollowerStore(paths)
    run = store.begin(record().key)
    run.masks.write_bytes(b"masks")
    run.rewind.mkdir()
    assert not paths.root.exists()
    assert not run.root.is_relative_to(tmp_path / "study")
    chief_writes(paths, record()).join()
    before = {path: path.stat().st_mtime_ns for path in paths.root.rglob("*")}
    store.finish(record())
    assert {path: path.stat().st_mtime_ns for path in paths.root.rglob("*")} == before
    assert not run.root.exists()


def test_a_run_begins_in_an_empty_directory(paths):
    store = FollowerStore(paths)
    store.begin("key").masks.write_bytes(b"of an interrupted run")
    assert not list(store.begin("key").root.iterdir())


def test_its_files_go_with_it(paths):
    store = FollowerStore(paths)
    root = store.begin("key").root
    assert root.exists()
    store._scratch.cleanup()
    assert not root.exists()


def test_it_waits_for_the_chiefs_record_and_returns_it(paths):
    theirs = fake_record(fake_spec(), digests=DIGESTS, steps_per_second=1.5)
    began = time.monotonic()
    thread = chief_writes(paths, theirs, after=0.4)
    found = FollowerStore(paths).finish(record())
    assert time.monotonic() - began >= 0.4
    thread.join()
    assert found == theirs
    assert found.steps_per_second == 1.5 != record().steps_per_second


def test_it_reads_what_the_chief_wrote(paths):
    chief_writes(paths, record()).join()
    store = FollowerStore(paths)
    assert store.records() == [record()]
    assert store.record(record().key) == record()


@pytest.mark.parametrize("name", list(DIGESTS))
def test_other_masks_or_weights_than_the_chiefs_are_refused(paths, name):
    chief_writes(paths, record(**{name: "d" * 64})).join()
    with pytest.raises(
        LotteryError, match=f"{name} of ticket .* differs from the chief's. All workers must hold"
    ):
        FollowerStore(paths).finish(record())


def test_a_chief_that_lacks_a_file_is_refused(paths):
    chief_writes(paths, record()).join()
    with pytest.raises(
        LotteryError, match="^rewind/5it of ticket replicate 0 round 0 differs from the chief's"
    ):
        FollowerStore(paths).finish(record(**{"rewind/5it": "e" * 64}))


def test_its_patience_ends(paths, monkeypatch):
    monkeypatch.setattr(follower, "PATIENCE_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(LotteryError, match="The chief hasn't written .* within 0.2 s.*all workers see"):
        FollowerStore(paths).finish(record())
    assert time.monotonic() - began >= 0.2
