import os
import re
import time

import pytest

from tests.drivers.test_run_study import results, study
from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery import config_file
from tf_lottery.cli import study_run
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import foreseen
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store import upkeep
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import written


@pytest.fixture
def store(tmp_path):
    """Of a finished study of fakes, with a file or two in each run."""
    store = Store(StudyPaths(tmp_path / "study"))
    for record in run_to_the_end(fake_study()):
        run = store.begin(record.key)
        run.weights_last.write_bytes(b"w" * 1000)
        run.masks.write_bytes(b"m" * 10)
        store.finish(record)
    return store


def test_bytes_by_kind(store):
    found = upkeep.sizes(store.paths)
    assert (found["weights"], found["masks"]) == (7000, 70)
    assert found["other"] == sum(path.stat().st_size for path in store.paths.runs.glob("*/record.json"))


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2_340_000, "2.3 MB"), (10**10, "10.0 GB")]
)
def test_bytes_as_people_read_them(size, text):
    assert upkeep.readable(size) == text


def test_a_tidy_study_has_no_rubbish(store):
    assert upkeep.rubbish(fake_study(), store) == []


def test_what_is_not_asked_for_goes_and_the_rest_stays(store):
    kept = {record.key for record in run_to_the_end(fake_study(pruning={"rounds": 2}))}
    first = store.paths.run(sorted(kept)[0])
    first.checkpoint.write_bytes(b"c" * 5)
    (first.root / ".masks.npz.x7_12345.tf_lottery").write_bytes(b"")
    (store.paths.runs / ".0123456789abcdef").mkdir()
    store.paths.damaged.mkdir()
    (store.paths.damaged / "0123456789abcdef-1").mkdir()
    small = fake_study(pruning={"rounds": 2})
    found = upkeep.rubbish(small, store)
    reasons = sorted(each.why for each in found)
    assert reasons == [
        "damaged",
        "half taken over",
        "left over",
        "left over",
        "not asked for",
        "not asked for",
    ]
    assert upkeep.collect_rubbish(small, store) == found
    assert {record.key for record in Store(store.paths).records()} == kept
    assert not first.checkpoint.exists()
    assert upkeep.rubbish(small, store) == []


def test_what_another_process_trains_stays(store):
    small = fake_study(pruning={"rounds": 2})
    store.write_study(written(small))
    going = next(record.key for record in store.records() if record.spec.round == 3)
    with store.claim(going):
        gone = upkeep.collect_rubbish(small, store)
        assert len(gone) == 1
        with pytest.raises(LotteryError, match="is in use by another process"):
            upkeep.remove(store.paths)
    assert store.paths.run(going).record.exists()
    assert upkeep.remove(store.paths) > 0
    assert not store.paths.root.exists()


MINE = (
    *("worker_1.log/thesis.tex", "tickets.png/a", "runs/{run}/masks.npz.d/x"),
    *(".git/HEAD", "notes.txt", "runs/mine/weights.npz", "runs/.mine/x", "damaged/mine.npz", "locks/mine"),
    *(
        "tensorboard/mine.txt",
        "runs/{run}/mine.py",
        "runs/{run}/.mine",
        "worker_notes.log",
        ".study.yaml.swp",
    ),
)


@pytest.mark.parametrize("name", MINE)
def test_what_is_not_ours_is_never_deleted(store, name):
    store.write_study(written(fake_study()))
    run = store.paths.run(store.records()[0].key).root.name
    mine = store.paths.root / name.format(run=run)
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    old = time.time() - 10**6
    for path in (mine, mine.parent):
        os.utime(path, (old, old))
    assert upkeep.collect_rubbish(fake_study(), store) == []
    whole = name.startswith((".git", "worker_1", "tickets"))
    named = name.split("/")[0] if whole else name.format(run=run).replace("/x", "")
    named = named.replace("runs/mine/weights.npz", "runs/mine").replace("runs/.mine", "runs/.mine")
    with pytest.raises(LotteryError, match=re.escape(named)):
        upkeep.remove(store.paths)
    assert mine.read_text() == "mine"
    assert len(store.records()) == len(store.names()) > 0


def test_a_link_is_not_followed_and_not_deleted(store, tmp_path):
    store.write_study(written(fake_study()))
    (tmp_path / "thesis").write_text("mine")
    (store.paths.root / ".tickets.png.ab12_xyz.tf_lottery").symlink_to(tmp_path / "thesis")
    with pytest.raises(LotteryError, match="holds more than a study"):
        upkeep.remove(store.paths)
    assert (tmp_path / "thesis").read_text() == "mine"


def test_a_project_with_a_study_of_its_own_is_no_study(store):
    store.write_study(config_file.dump(fake_study()))
    with pytest.raises(LotteryError, match="wasn't written by tf_lottery"):
        upkeep.remove(store.paths)
    store.write_study(written(fake_study()).replace("rounds", "rounds ", 1))
    with pytest.raises(LotteryError, match="wasn't written by tf_lottery"):
        upkeep.remove(store.paths)
    assert store.paths.root.is_dir()


class Trained(StudyObserver):
    def __init__(self):
        self.rounds = []

    def started(self, spec, first, last):
        self.rounds.append(spec.round)


MASKS = {"storage": {"keep": "masks"}, "arms": {"ticket": {}, "random_reinit": {"rounds": [2]}}}


def files(directory, records, name):
    return [getattr(StudyPaths(directory).run(record.key), name).exists() for record in records]


def test_masks_only_keeps_what_further_rounds_need(tmp_path):
    directory, observer = tmp_path / "masks" / "study", Trained()
    records = run_study(study(**MASKS, pruning__rounds=2), directory)
    labels = [(record.spec.arm, record.spec.round) for record in records]
    assert labels == [("ticket", 0), ("ticket", 1), ("ticket", 2), ("random_reinit", 2)]
    assert files(directory, records, "weights_last") == [False, False, True, False]
    assert all(files(directory, records, "masks"))
    store = Store(StudyPaths(directory))
    assert [error for record in records for error in store.damaged(record)] == []
    run_study(study(**MASKS, pruning__rounds=3), directory, observer=observer)
    assert observer.rounds == [3]
    whole = run_study(study(arms=MASKS["arms"], pruning__rounds=3), tmp_path / "weights" / "study")
    assert len(whole) == 5
    expected, found = results(tmp_path / "weights" / "study"), results(directory)
    assert all(expected[path] == value for path, value in found.items())
    assert {path.name for path in expected.keys() - found.keys()} == {"weights_last.npz"}


def test_what_an_added_arm_needs_is_trained_again_to_the_same_bits(tmp_path):
    directory, observer = tmp_path / "masks" / "study", Trained()
    run_study(study(**MASKS | {"arms": {"ticket": {}}}, pruning__rounds=2), directory)
    before = results(directory)
    run_study(study(**MASKS, pruning__rounds=2), directory, observer=observer)
    assert observer.rounds == [0, 1, 2]
    after = results(directory)
    assert all(after[path] == value for path, value in before.items())
    assert not StudyPaths(directory).damaged.exists()


def test_masks_only_finished_stays_finished_with_its_ticket(tmp_path, capsys):
    config, directory = study(**MASKS, pruning__rounds=2, tolerance=1.0), tmp_path / "study"
    assert study_run.run_and_report(config, directory) == 0
    paths = StudyPaths(directory)
    ticket = paths.ticket.read_bytes()
    records = run_study(config, directory)
    assert files(directory, records, "weights_early_stop") == [False, False, True, False]
    capsys.readouterr()
    assert study_run.run_and_report(config, directory) == 0
    assert "All runs were finished before." in capsys.readouterr().out
    assert paths.ticket.read_bytes() == ticket
    stricter = study(**MASKS, pruning__rounds=2, tolerance=0.0)
    assert study_run.run_and_report(stricter, directory) == 0
    assert "All runs were finished before." in capsys.readouterr().out


def test_rounds_that_wait_for_all_replicates_lose_no_weights_meanwhile(tmp_path):
    rules = {"pruning": {"rate": 0.3, "rounds": 2, "max_accuracy_drop": 1.0}, "replicates": 2}
    observer = Trained()
    run_study(study(**MASKS | rules), tmp_path / "study", observer=observer)
    assert sorted(observer.rounds) == [0, 0, 1, 1, 2, 2, 2, 2]


def test_gc_keeps_later_rounds_while_an_earlier_one_is_missing(store):
    missing = next(
        record for record in store.records() if record.spec.arm == "ticket" and record.spec.round == 1
    )
    store.paths.run(missing.key).record.unlink()
    assert upkeep.collect_rubbish(fake_study(), store) == []
    no_rounds = fake_study(pruning={"target_density": 0.01})
    assert upkeep.collect_rubbish(no_rounds, store) == []


def test_foreseen_is_what_is_trained_if_nothing_ends_it_early():
    study = fake_study(replicates=2)
    assert [spec.key for spec in foreseen(study)] == [record.key for record in sorted_like(study)]
    assert foreseen(fake_study(pruning={"target_density": 0.1})) is None


def sorted_like(study):
    records = {record.key: record for record in run_to_the_end(study)}
    return [fake_record(spec) for spec in foreseen(study) if spec.key in records]
