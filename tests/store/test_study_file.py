"""A study's directory goes on with the engine that it was begun with, and loses no run by another's name."""

import shutil

import pytest

from tests.runs.test_check import NothingTrained
from tests.runs.test_engines import of_engine, study
from tf_lottery.cli.dry_run import dry_run
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import BEGUN_DENSE, run_study
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.study_file import load, prepare


def of(engine, rounds=1, **training):
    short = {"steps": "20it", "evaluate_every": "20it", "engine": engine, **training}
    return study(training=short, pruning={"rate": 0.8, "rounds": rounds})


class Heard(StudyObserver):
    def __init__(self):
        self.notes, self.trained = [], []

    def noted(self, text):
        self.notes.append(text)

    def started(self, spec, first, last):
        self.trained.append(spec.round)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Studies that are finished: engine -> directory and records."""
    found = {}
    for engine in ("dense", "auto"):
        directory = tmp_path_factory.mktemp(engine) / "study"
        found[engine] = directory, run_study(of(engine), directory)
    return found


def test_one_begun_with_dense_goes_on_with_dense_and_says_so(begun, tmp_path):
    shutil.copytree(begun["dense"][0], tmp_path / "study")
    lines = dry_run(of("auto", rounds=2), tmp_path / "study", Execution(workers=1))
    assert BEGUN_DENSE in lines
    assert "Finished: 2 runs" in lines
    assert not any(line.startswith("Engine") for line in lines)
    heard = Heard()
    records = run_study(of("auto", rounds=2), tmp_path / "study", observer=heard)
    assert heard.notes == [BEGUN_DENSE]
    assert heard.trained == [2]
    assert [record.key for record in records][:2] == [record.key for record in begun["dense"][1]]
    assert [of_engine(record) for record in records] == [(None, None)] * 3
    assert load(StudyPaths(tmp_path / "study")).training.engine == "dense"


def test_and_names_what_else_differs(begun):
    with pytest.raises(LotteryError, match=r"another study, which differs in training\.learning_rate\. "):
        prepare(of("auto", learning_rate=0.1), StudyPaths(begun["dense"][0]))


@pytest.mark.parametrize(("before", "now"), [("auto", "dense"), ("auto", "sparse"), ("dense", "sparse")])
def test_any_other_change_of_the_engine_is_refused(before, now, begun):
    directory = begun[before][0]
    for ask in (
        lambda: run_study(of(now), directory, observer=NothingTrained()),
        lambda: dry_run(of(now), directory, Execution(workers=1)),
    ):
        with pytest.raises(
            LotteryError, match=r"another study, which differs in training\.engine\. Use --out"
        ):
            ask()


def test_one_of_which_no_run_is_finished_takes_the_engine_that_is_asked_for(tmp_path):
    class Stopping(StudyObserver):
        def started(self, spec, first, last):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(of("dense"), tmp_path, observer=Stopping())
    assert prepare(of("auto"), StudyPaths(tmp_path)).training.engine == "auto"


def test_a_dense_run_is_taken_over_from_a_neighbour_with_the_other_engine(begun, tmp_path):
    shutil.copytree(begun["dense"][0], tmp_path / "dense")
    heard = Heard()
    records = run_study(of("auto"), tmp_path / "auto", observer=heard)
    assert heard.trained == [1]
    assert [of_engine(record) for record in records] == [(None, None), ("sparse", None)]
    assert records[0].digests == begun["dense"][1][0].digests


def test_the_same_study_again_trains_nothing(begun):
    directory, records = begun["auto"]
    again = run_study(of("auto"), directory, observer=NothingTrained())
    assert [record.key for record in again] == [record.key for record in records]
