"""Observers of a study, and what becomes of the study when one raises."""

import inspect
import re
from pathlib import Path

import pytest

import tf_lottery as lottery
from tests.drivers.test_run_study import results, study
from tf_lottery.drivers.run_study import run_study
from tf_lottery.paths import StudyPaths
from tf_lottery.runs import observe
from tf_lottery.runs.observe import Guarded, Several

CALLS = [name for name, _ in inspect.getmembers(lottery.StudyObserver, inspect.isfunction)]


class Raises(lottery.StudyObserver):
    """Raises once in one of its methods, and notes which were called."""

    def __init__(self, where):
        self.heard = []
        for name in CALLS:
            setattr(self, name, self.method(name, where))

    def method(self, name, where):
        def call(*arguments):
            self.heard.append(name)
            if name == where:
                raise ConnectionError("the tracker\ndoesn't answer")

        return call


def test_all_that_an_observer_hears_is_passed_on():
    assert sorted(observe._CALLS) == CALLS
    heard = Raises(None)
    passed_on = Several(Guarded(heard, pytest.fail))
    for name in CALLS:
        arguments = [None] * len(list(inspect.signature(getattr(lottery.StudyObserver, name)).parameters)[1:])
        getattr(passed_on, name)(*arguments)
    assert heard.heard == CALLS


def test_an_observer_that_raises_hears_no_more_and_is_named_once():
    heard, notes = Raises("noted"), []
    guarded = Guarded(heard, notes.append)
    with pytest.warns(RuntimeWarning, match="Raises raised in noted: ConnectionError: the tracker doesn't"):
        guarded.noted("a worker is lost")
    guarded.noted("another one")
    guarded.advanced(1)
    assert heard.heard == ["noted"]
    assert notes == [
        "The observer Raises raised in noted: ConnectionError: the tracker doesn't answer. "
        "The study goes on without it."
    ]


def test_the_example_of_the_page_is_told(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs/observers.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.S)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    out = capsys.readouterr().out
    assert re.fullmatch(r"(ticket replicate 0 round [01]: \d\d\.\d%\n){2}", out)


def test_the_page_names_every_method():
    page = (Path(__file__).parents[2] / "docs/observers.md").read_text()
    assert set(re.findall(r"^\| `(\w+)\(", page, re.M)) == set(CALLS)


def test_ctrl_c_passes():
    class Ends(lottery.StudyObserver):
        def advanced(self, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded(Ends(), pytest.fail).advanced(1)


def test_an_observer_cannot_change_the_lists_of_the_driver():
    class Clears(lottery.StudyObserver):
        def planned(self, finished, waiting):
            finished.clear()
            waiting.clear()

    finished, waiting = [1], [2]
    Guarded(Clears(), pytest.fail).planned(finished, waiting)
    assert (finished, waiting) == ([1], [2])


def test_an_observer_cannot_change_what_is_trained(tmp_path):
    class Changes(lottery.StudyObserver):
        def planned(self, finished, waiting):
            for spec in waiting:
                spec.training.optimizer_options["beta_1"] = 0.1
            for record in finished:
                record.layers.clear()

        def finished(self, record):
            record.digests["weights_last"] = "another"

    small = study(pruning__rounds=1, arms={"ticket": {}})
    watched = run_study(small, tmp_path / "watched" / "study", observer=Changes())
    alone = run_study(small, tmp_path / "alone" / "study")
    assert [record.digests for record in watched] == [record.digests for record in alone]
    assert all(record.layers for record in watched)
    assert results(tmp_path / "watched" / "study") == results(tmp_path / "alone" / "study")


@pytest.mark.parametrize("where", ["planned", "started", "evaluated", "finished"])
def test_a_study_goes_on_without_an_observer_that_raises(where, tmp_path):
    alone = study(pruning__rounds=0, arms={"ticket": {}})
    with pytest.warns(RuntimeWarning, match=f"raised in {where}"):
        (record,) = run_study(alone, tmp_path / "study", observer=Raises(where))
    assert not list(tmp_path.glob("**/failed.json"))
    assert f"raised in {where}: ConnectionError" in StudyPaths(tmp_path / "study").log.read_text()
    (same,) = run_study(alone, tmp_path / "apart" / "study")
    assert record.digests == same.digests
    assert results(tmp_path / "study") == results(tmp_path / "apart" / "study")
