"""Stops of one's own: they look, and the bits of a run don't depend on them."""

import numpy as np
import pytest

from tests.drivers.test_run_study import results, study
from tests.runs.test_resume import Interrupted
from tf_lottery.drivers.run_study import run_study
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.training.own_stops import STOPS
from tf_lottery.training.stop import Stop


class Norms(Stop):
    """Notes the norm of a kernel at steps of its own, and would like to end the training."""

    found = {}

    def __init__(self, view):
        self.view, self.rows, self.last = view, [], np.zeros(0)
        self.key = view.spec.key

    def steps(self, first, last):
        return np.arange(first, last + 1, 7)

    def act(self, step, passed):
        (path, mask), *_ = sorted(self.view.masks().items())
        self.last = self.view.weights()[f"model/{path}"]
        assert not self.last[~mask].any()
        self.rows.append([step, float(np.linalg.norm(self.last)), self.view.measure("validation")[0]])
        self.found[self.key] = self.rows
        self.last[:] = 0  # a copy
        self.view.spec.model.kwargs["units"] = 1  # and another one

    def ends(self):
        return True

    def kept(self):
        return {"points": self.rows}  # a name that tf_lottery's own stops have, too

    def kept_arrays(self):
        return {"last": self.last}

    def restore(self, kept, arrays):
        self.rows, self.last = list(kept.get("points", [])), arrays.get("last")


@pytest.fixture
def norms(monkeypatch):
    monkeypatch.setitem(STOPS, "norms", Norms)
    monkeypatch.setattr(Norms, "found", {})
    return Norms


SMALL = {"pruning__rounds": 1, "arms": {"ticket": {}}}


def test_a_run_has_the_same_bits_with_and_without_them_and_isnt_ended(tmp_path, norms, monkeypatch):
    watched = run_study(study(**SMALL), tmp_path / "watched" / "study")
    store = Store(StudyPaths(tmp_path / "watched" / "study"))
    assert norms.found.keys() == {record.key for record in watched}
    for record in watched:
        rows = norms.found[record.key]
        assert [step for step, *_ in rows] == list(range(0, 61, 7))
        path = min(record.layers)
        began = store.rewind_point(watched[0].key, 0)[f"model/{path}"] * store.masks(record.key)[path]
        assert rows[0][1] == float(np.linalg.norm(began))
    monkeypatch.delitem(STOPS, "norms")
    run_study(study(**SMALL), tmp_path / "alone" / "study")
    assert results(tmp_path / "watched" / "study") == results(tmp_path / "alone" / "study")


def test_a_checkpoint_keeps_what_they_need_apart_and_they_may_come_later(tmp_path, norms, monkeypatch):
    often = study(pruning__rounds=0, arms={"ticket": {}}, storage={"checkpoint_every": "10it"})
    run_study(often, tmp_path / "whole" / "study")
    (whole,) = norms.found.values()
    norms.found.clear()
    with pytest.raises(KeyboardInterrupt):
        run_study(often, tmp_path / "killed" / "study", observer=Interrupted([40]))
    run_study(often, tmp_path / "killed" / "study")
    assert list(norms.found.values()) == [whole]
    assert results(tmp_path / "killed" / "study") == results(tmp_path / "whole" / "study")

    norms.found.clear()
    monkeypatch.delitem(STOPS, "norms")
    with pytest.raises(KeyboardInterrupt):
        run_study(often, tmp_path / "late" / "study", observer=Interrupted([40]))
    monkeypatch.setitem(STOPS, "norms", Norms)
    run_study(often, tmp_path / "late" / "study")
    ((first, *_),) = norms.found.values()
    assert first[0] > 20
    assert results(tmp_path / "late" / "study") == results(tmp_path / "whole" / "study")
