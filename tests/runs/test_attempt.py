"""How attempts end, whatever is raised."""

import numpy as np
import pytest
import tensorflow as tf

from tests.drivers.test_run_study import study
from tf_lottery.data import sources
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import DamagedError, StudyError
from tf_lottery.method import arms, building
from tf_lottery.method.plan import plan
from tf_lottery.paths import StudyPaths
from tf_lottery.runs import attempt as attempt_module
from tf_lottery.runs.attempt import attempt, check
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store import failures
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare


@pytest.fixture(scope="module")
def trainers():
    return Trainers()


@pytest.fixture
def begun(tmp_path):
    """A study that is about to begin: itself, its store, its first run."""
    paths = StudyPaths(tmp_path / "study")
    config = prepare(study(pruning__rounds=0), paths)
    return config, Store(paths), plan(config, [])[0]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("no memory"), "failed"),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY"), "failed"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "failed"),
        (ZeroDivisionError("in a user's augmentation"), "failed"),
        (StudyError("Expected to write. Received: no space"), "ended"),
        (DamagedError("Expected masks.", "k" * 64, "masks.npz"), "damaged"),
    ],
)
def test_what_is_raised_decides_how_it_ends(begun, trainers, monkeypatch, error, kind):
    def raises(*_):
        raise error

    monkeypatch.setattr(attempt_module, "execute", raises)
    _, store, spec = begun
    outcome = attempt(spec, store, trainers, StudyObserver())
    assert outcome.kind == kind
    assert (failures.find(store.paths, spec.key) is not None) == (kind == "failed")
    if kind == "failed":
        assert type(error).__name__ in outcome.detail


def test_a_claimed_run_is_busy(begun, trainers):
    _, store, spec = begun
    with store.claim(spec.key):
        assert attempt(spec, Store(store.paths), trainers, StudyObserver()).kind == "busy"


def test_what_another_process_has_done_meanwhile_is_not_done_again(begun, trainers, monkeypatch):
    config, store, spec = begun
    store.fail(spec, "worker 1 was ended by SIGKILL")
    assert attempt(spec, store, trainers, StudyObserver()).kind == "failed"
    failures.forgive(store.paths, spec.key)
    run_study(study(pruning__rounds=0), store.paths.root)
    monkeypatch.setattr(attempt_module, "execute", None)
    outcome = attempt(spec, store, trainers, StudyObserver())
    assert (outcome.kind, outcome.detail != "") == ("finished", True)
    assert check(config, store, trainers) is None, "nothing is left to check"


def test_an_arm_with_an_unknown_start_is_refused_before_anything_is_trained(tmp_path, trainers, monkeypatch):
    def slip(place):
        return building.edited(place, start="keep_sings", init_seed=1)

    monkeypatch.setitem(arms.ARMS, "slip", slip)
    config = study(pruning__rounds=3, arms={"slip": {"rounds": [2]}})
    paths = StudyPaths(tmp_path / "study")
    wrong = check(prepare(config, paths), Store(paths), trainers)
    assert wrong.startswith("Expected arm 'slip' with a start of initialize, ")
    assert wrong.endswith("Received: 'keep_sings'")


def test_a_network_for_other_data_is_not_taken_for_one_that_was_changed(tmp_path, trainers):
    digits = sources.load(study().data)
    parts = {"train": (digits.x_train, digits.y_train), "test": (digits.x_test, digits.y_test)}
    arrays = {
        f"{name}_{part}": each[y < 4] for part, (x, y) in parts.items() for name, each in (("x", x), ("y", y))
    }
    np.savez(tmp_path / "four.npz", **arrays)
    begun = study(pruning__rounds=1, arms={"ticket": {}})
    run_study(begun, tmp_path / "study")
    four = {"name": "npz", "path": str(tmp_path / "four.npz"), "validation": 100}
    config = study(pruning__rounds=1, arms={"ticket": {}, "four": {"like": "transfer", "data": four}})
    paths = StudyPaths(tmp_path / "study")
    config, store = prepare(config, paths), Store(paths)
    assert [spec.arm for spec in plan(config, store.records())] == ["four"]
    assert check(config, store, trainers) is None
