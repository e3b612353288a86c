"""Whole studies that the sparse engine trains: the method's rules hold, and nothing else knows of it."""

import json

import numba
import numpy as np
import pytest

from tests.drivers.test_run_study import results
from tests.runs.test_resume import Interrupted, interrupted
from tests.training.sparse.engines import difference
from tf_lottery import arrays, config_file
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import run_study
from tf_lottery.method.plan import plan
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.execute import execute
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.training.trainer import Trainer

SETTINGS = {
    "name": "engines",
    "data": {"name": "digits", "validation": 200},
    "model": {"name": "lenet_300_100"},
    "training": {"steps": "250it", "evaluate_every": "50it", "engine": "auto", "learning_rate": 0.002},
    "pruning": {"rate": 0.3, "rounds": 3},
    "arms": {"ticket": {}},
}
DROPOUT = {
    "model": {"build": "tests.training.networks:with_dropout"},
    "training": {"engine": "sparse", "steps": "200it", "learning_rate": 0.01},
    "pruning": {"rate": 0.7, "layer_rates": {"output": 0.3}, "rounds": 1},
    "arms": {"ticket": {}, "random_reinit": {"rounds": [1]}},
}
MOMENTUM = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "learning_rate": 0.02}


def study(**changes):
    """The study of this module; a change of a section is laid over it."""
    settings = json.loads(json.dumps(SETTINGS))
    for section, value in changes.items():
        laid_over = isinstance(value, dict) and section not in ("arms", "model")
        settings[section] = {**settings.get(section, {}), **value} if laid_over else value
    return config_file.validate(settings)


def of_engine(record):
    return record.resolved.get("engine"), record.resolved.get("engine_reason")


def loaded(directory, record, name):
    return arrays.load(getattr(StudyPaths(directory).run(record.key), name), record.digests[name])


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The study with both engines: directories and records."""
    found = {}
    for engine in ("auto", "dense"):
        directory = tmp_path_factory.mktemp(engine) / "study"
        found[engine] = directory, run_study(study(training={"engine": engine}), directory)
    return found


def test_records_say_which_engine_trained_and_why(both):
    _, records = both["auto"]
    assert [of_engine(record) for record in records] == [
        ("dense", "the run has no masks"),
        ("dense", "too many weights remain"),
        ("sparse", None),
        ("sparse", None),
    ]
    assert [of_engine(record) for record in both["dense"][1]] == [(None, None)] * 4
    assert [record.resolved.get("numba") for record in records] == [None, None, *[numba.__version__] * 2]


def test_compiling_is_charged_to_the_run_that_it_was_done_for(both):
    for record in (both["auto"][1][0], both["dense"][1][0]):
        assert record.seconds["evaluate"] < 0.5 * record.seconds["compile"]
        assert record.seconds["train"] + record.seconds["evaluate"] < record.seconds["total"]


def test_what_the_dense_engine_trains_is_the_same_run(both):
    (_, auto), (_, dense) = both["auto"], both["dense"]
    assert auto[0].key == dense[0].key
    assert [a.digests == d.digests for a, d in zip(auto[:2], dense[:2], strict=True)] == [True, True]
    assert {r.key for r in auto[1:]}.isdisjoint(r.key for r in dense[1:])


def test_masks_rewinds_and_zeros_are_exact_in_the_files(both):
    directory, records = both["auto"]
    with np.load(next(StudyPaths(directory).run(records[0].key).rewind.glob("*.npz"))) as point:
        initial = {name: point[name] for name in point.files}
    before = None
    for record in records[1:]:
        masks = loaded(directory, record, "masks")
        for name in ("weights_last", "weights_early_stop"):
            weights = loaded(directory, record, name)
            for path, mask in masks.items():
                kernel = weights["model/" + path]
                assert not kernel[~mask].any()
                assert not np.signbit(kernel[~mask]).any(), "0.0, not -0.0"
                assert np.count_nonzero(kernel[mask]) == mask.sum()
                assert (kernel[mask] != initial["model/" + path][mask]).mean() > 0.5
                assert before is None or not (mask & ~before[path]).any()
        assert sum(int(mask.sum()) for mask in masks.values()) == record.weights_remaining
        before = masks


def test_results_are_those_of_the_dense_engine(both):
    (ours, auto), (theirs, dense) = both["auto"], both["dense"]
    first, second = loaded(ours, auto[2], "masks"), loaded(theirs, dense[2], "masks")
    assert all((first[path] == second[path]).all() for path in first), "pruned from the same weights"
    assert difference(loaded(ours, auto[2], "weights_last"), loaded(theirs, dense[2], "weights_last")) < 1e-4
    for mine, other in zip(auto[2:], dense[2:], strict=True):
        assert mine.weights_remaining == other.weights_remaining
        assert mine.early_stop_iteration == other.early_stop_iteration
        for name in ("final_test_loss", "early_stop_test_loss", "best_validation_loss"):
            assert getattr(mine, name) == pytest.approx(getattr(other, name), rel=0.05), name
        assert mine.final_test_accuracy == pytest.approx(other.final_test_accuracy, abs=0.02)
        assert mine.final_test_accuracy > 0.85
        assert mine.checks["zeros_checked_times"] == other.checks["zeros_checked_times"]
        assert mine.spent.flops_remaining == other.spent.flops_remaining


REWINDS = {
    "late": {"rewind": {"to": "20it"}},
    "late, restored": {"rewind": {"to": "20it", "optimizer": "restore"}},
    "learning rate": {"rewind": {"weights": "trained", "to": "0it"}},
    "learning rate, restored": {"rewind": {"weights": "trained", "to": "20it", "optimizer": "restore"}},
}


FAST = ("late, restored", "learning rate")


@pytest.mark.parametrize(
    "case", [c if c in FAST else pytest.param(c, marks=pytest.mark.slow) for c in REWINDS]
)
def test_rewinding_to_what_the_sparse_engine_kept(case, tmp_path):
    training = {"engine": "sparse", "steps": "60it", **MOMENTUM}
    rewind = REWINDS[case]["rewind"]
    common = {"rewind": rewind, "pruning": {"rate": 0.8, "rounds": 1}, "storage": {"keep": "all"}}
    ours, theirs = (
        run_study(study(training={**training, "engine": engine}, **common), tmp_path / engine)
        for engine in ("sparse", "dense")
    )
    assert [of_engine(record) for record in ours] == [("sparse", None)] * 2
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.first_step, mine.last_step) == (other.first_step, other.last_step)
        first, second = (
            loaded(tmp_path / engine, record, "weights_last")
            for engine, record in (("sparse", mine), ("dense", other))
        )
        same = loaded(tmp_path / "sparse", mine, "masks"), loaded(tmp_path / "dense", other, "masks")
        differing = sum(int((same[0][path] != same[1][path]).sum()) for path in same[0])
        assert differing <= 4, "near-ties of magnitudes may be rounded either way"
        if not differing:
            assert difference(first, second) < 1e-4
    points = [sorted(tmp_path.glob(f"{engine}/runs/*/rewind/*.npz")) for engine in ("sparse", "dense")]
    assert [p.name for p in points[0]] == [p.name for p in points[1]]
    for mine, other in zip(*points, strict=True):
        kept, wanted = arrays.load(mine), arrays.load(other)
        assert {k: (v.shape, v.dtype) for k, v in kept.items()} == {
            k: (v.shape, v.dtype) for k, v in wanted.items()
        }
        assert difference(kept, wanted) < 1e-5


def test_controls_of_a_network_with_dropout_and_batch_normalization(tmp_path):
    ours = run_study(study(**DROPOUT), tmp_path / "sparse")
    dense = {**DROPOUT, "training": {**DROPOUT["training"], "engine": "dense"}}
    theirs = run_study(study(**dense), tmp_path / "dense")
    assert [(r.spec.arm, *of_engine(r)) for r in ours] == [
        ("ticket", "sparse", None),
        ("ticket", "sparse", None),
        ("random_reinit", "sparse", None),
    ]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.final_test_accuracy == pytest.approx(other.final_test_accuracy, abs=0.06)
        assert mine.weights_remaining == other.weights_remaining
        ours_last = loaded(tmp_path / "sparse", mine, "weights_last")
        theirs_last = loaded(tmp_path / "dense", other, "weights_last")
        assert ours_last.keys() == theirs_last.keys()
        for name in ("model/norm/moving_mean", "model/norm/moving_variance"):
            assert ours_last[name] == pytest.approx(theirs_last[name], rel=0.5, abs=0.5)
            assert ours_last[name].std() > 0


def test_a_run_killed_in_its_midst_goes_on_to_the_same_bits(tmp_path):
    run_study(study(**DROPOUT), tmp_path / "whole" / "study")
    often = study(**DROPOUT, storage={"checkpoint_every": "30it"})
    starts = interrupted(often, tmp_path / "killed" / "study", [120, 90, 150])
    assert sum(first > 0 for *_, first in starts) == 3
    assert results(tmp_path / "killed" / "study") == results(tmp_path / "whole" / "study")


def test_late_rewinding_killed_in_its_midst(tmp_path):
    changes = {
        "training": {"engine": "sparse", "steps": "90it", "evaluate_every": "25it"},
        "pruning": {"rate": 0.8, "rounds": 1},
        "rewind": {"to": "20it", "optimizer": "restore"},
    }
    run_study(study(**changes), tmp_path / "whole" / "study")
    often = study(**changes, storage={"checkpoint_every": "10it"})
    starts = interrupted(often, tmp_path / "killed" / "study", [30, 60])
    assert [first for *_, first in starts] == [0, 20, 50, 20]
    assert results(tmp_path / "killed" / "study") == results(tmp_path / "whole" / "study")


def test_neither_calls_nor_curves_change_a_bit(tmp_path, monkeypatch):
    small = study(training={"engine": "sparse", "steps": "60it"}, pruning={"rate": 0.8, "rounds": 1})
    watched = run_study(small, tmp_path / "watched")
    assert len(list(tmp_path.rglob("*tfevents*"))) == 2
    monkeypatch.setattr("tf_lottery.training.feed.STEPS_PER_CALL", 7)
    monkeypatch.setattr("tf_lottery.runs.trainers.Trainer", Trainer)  # a new one
    calls = Heard()
    paths = StudyPaths(tmp_path / "plain")
    prepared, store = prepare(small, paths), Store(paths)
    for record in watched:
        (spec,) = plan(prepared, store.records())
        assert execute(spec, store, observer=calls).digests == record.digests
    assert {7, 14, 49, 50, 57, 60} <= set(calls.steps)
    assert len(list(tmp_path.rglob("*tfevents*"))) == 2


class Heard(StudyObserver):
    def __init__(self):
        self.steps = []

    def advanced(self, step):
        self.steps.append(step)


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one(tmp_path):
    changes = {**DROPOUT, "replicates": 2}
    run_study(study(**changes), tmp_path / "one" / "study")
    run_study(study(**changes), tmp_path / "two" / "study", execution=Execution(workers=2))
    assert results(tmp_path / "two" / "study") == results(tmp_path / "one" / "study")


def test_a_checkpoint_of_other_kernels_is_not_gone_on_from(tmp_path, monkeypatch):
    changes = {"training": {"engine": "sparse", "steps": "90it", "evaluate_every": "30it"}}
    begun = study(**changes, pruning={"rounds": 0}, storage={"checkpoint_every": "10it"})
    assert [first for *_, first in interrupted(begun, tmp_path / "same" / "study", [60])] == [0, 30]
    with pytest.raises(KeyboardInterrupt):
        run_study(begun, tmp_path / "other" / "study", observer=Interrupted([60]))
    monkeypatch.setattr("tf_lottery.runs.engines.packages", lambda spec: {"numba": "9.9.9"})
    observer = Interrupted([])
    run_study(begun, tmp_path / "other" / "study", observer=observer)
    assert observer.starts[0][3] == 0
