"""Each kind of start: a run that is killed in its middle goes on from its checkpoint to the same bits."""

import pytest

from tests.runs.pairwise import STEPS, Row, Trained, study_of
from tf_lottery import config_file
from tf_lottery.method.plan import plan
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.execute import execute
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.starts import STARTS
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare

LATE = Row("one_shot", "large_init", "global", "late, restored")
RATE = Row("one_shot", "random", "erk", "rate, restored")
TUNED = Row("one_shot", "movement", "layer", "tuned")
CONTROLS = ("random_reinit", "keep_signs", "constant_sign", "reshuffle", "shuffled", "transfer")
ROWS = [LATE, RATE, TUNED, *(LATE._replace(control=control) for control in CONTROLS)]
DENSE = ("ticket", 0)


def pretrained():
    """A study with a run of every kind of start: one before round 0 gives the dense network its weights."""
    study, _ = study_of(ROWS)
    return config_file.validate(study.model_dump(mode="json") | {"pretrain": {"steps": f"{STEPS}it"}})


class Killed(BaseException):
    """Nothing in the library catches this."""


class Kills(StudyObserver):
    """Ends a training as soon as there is a checkpoint, once."""

    def __init__(self, run):
        self.firsts, self.run = [], run

    def started(self, spec, first, last):
        self.firsts.append(first)

    def advanced(self, step):
        if len(self.firsts) == 1 and self.run.checkpoint.exists():
            raise Killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Trained(pretrained(), tmp_path_factory.mktemp("whole") / "study")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The same study elsewhere, its runs killed once; where they began and went on, by key."""
    paths = StudyPaths(tmp_path_factory.mktemp("killed") / "study")
    study = prepare(pretrained(), paths)
    store = Store(paths, study.storage.model_copy(update={"checkpoint_every": "2it"}))
    records, firsts = [], {}
    while waiting := plan(study, records):
        for spec in waiting:
            if spec.arm == "ticket" and spec.round:
                records.append(execute(spec, store, Trainers()))
                continue
            kills = Kills(paths.run(spec.key))
            with pytest.raises(Killed):
                execute(spec, store, Trainers(), kills)
            assert paths.run(spec.key).checkpoint.exists()
            records.append(execute(spec, store, Trainers(), kills))
            assert not paths.run(spec.key).checkpoint.exists()
            firsts[spec.key] = kills.firsts
    return store, firsts


def test_there_is_a_run_of_every_start(whole):
    assert {record.spec.start for record in whole.records.values()} == STARTS.keys()


@pytest.mark.parametrize("start", STARTS)
def test_a_killed_run_goes_on_to_the_same_bits(start, whole, killed):
    store, firsts = killed
    records = [r for r in whole.records.values() if r.spec.start == start and r.key in firsts]
    assert records
    for record in records:
        begun, resumed = firsts[record.key]
        assert begun == record.first_step
        assert begun < resumed < record.last_step, "in the middle, not anew"
        again = store.record(record.key)
        assert again.digests == record.digests
        assert {
            "masks",
            "curves",
            "weights_last",
            "weights_early_stop",
            "optimizer_last",
        } <= again.digests.keys()
        assert (again.first_step, again.checks) == (record.first_step, record.checks)
        assert again.early_stop_iteration == record.early_stop_iteration
        assert store.curves(record.key) == whole.store.curves(record.key)


def test_the_dense_run_keeps_its_rewind_points(whole, killed):
    dense = whole.records[DENSE]
    assert {"rewind/0it", "rewind/6it"} <= killed[0].record(dense.key).digests.keys()
    assert dense.last_step == STEPS
