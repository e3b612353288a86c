"""Masks that change within a training: counts, zeros, early stop, cost, resume, replicas."""

import itertools
import json
import math

import numpy as np
import pytest

from tests.drivers.test_run_study import results
from tests.training.sparse.engines import difference
from tf_lottery import arrays, config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.length import Length
from tf_lottery.method.ledger import ledger
from tf_lottery.method.plan import plan
from tf_lottery.method.recipe import Updates
from tf_lottery.paths import StudyPaths
from tf_lottery.pruning.updates import GROWING, UPDATES
from tf_lottery.runs.attempt import check
from tf_lottery.runs.execute import execute
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.trainers import Trainers
from tf_lottery.runs.updating import update_steps
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.training.loop import Loop
from tf_lottery.training.mask_updates import MaskUpdates

ARMS = {
    "ticket": {},
    "gradual": {},
    "set": {},
    "rigl": {},
    "static": {},
    "after_rigl": {"like": "random_reinit", "on": "rigl"},
    "forked": {"like": "fork", "on": "gradual"},
}
SETTINGS = {
    "name": "updating",
    "data": {"name": "digits", "validation": 200},
    "model": {"build": "tests.training.networks:with_dropout"},
    "training": {"steps": "200it", "evaluate_every": "20it", "learning_rate": 0.01},
    "pruning": {"rate": 0.7, "layer_rates": {"output": 0.3}, "rounds": 1},
    "updates": {"every": "13it"},
    "arms": ARMS,
}
LAST, END, EVERY = 200, 150, 13


def study(**changes):
    settings = json.loads(json.dumps(SETTINGS))
    for section, value in changes.items():
        settings[section] = {**settings[section], **value} if section in ("training", "updates") else value
    return config_file.validate(settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study's directory, and its records by arm, round 0 aside."""
    directory = tmp_path_factory.mktemp("whole") / "study"
    records = run_study(study(), directory)
    return directory, {record.spec.arm: record for record in records if record.spec.round}


def loaded(directory, record, name):
    return arrays.load(getattr(StudyPaths(directory).run(record.key), name), record.digests[name])


def test_every_arm_has_the_density_of_the_ticket(whole):
    _, found = whole
    assert found.keys() == ARMS.keys()
    assert {record.weights_remaining for record in found.values()} == {found["ticket"].weights_remaining}
    assert {path: c.remaining for path, c in found["gradual"].layers.items()} == {
        path: c.remaining for path, c in found["ticket"].layers.items()
    }


def test_masks_changed_and_pruned_weights_are_zero(whole):
    directory, found = whole
    begun = loaded(directory, found["static"], "masks")
    for arm in ("gradual", *GROWING):
        masks = loaded(directory, found[arm], "masks")
        for name in ("weights_last", "weights_early_stop"):
            weights = loaded(directory, found[arm], name)
            for path, mask in masks.items():
                assert not weights[f"model/{path}"][~mask].any()
                assert np.count_nonzero(weights[f"model/{path}"][mask]) > 0.9 * mask.sum()
        assert any((masks[path] != begun[path]).any() for path in masks)
        if arm in GROWING:
            assert {p: m.sum() for p, m in masks.items()} == {p: m.sum() for p, m in begun.items()}


def test_early_stop_counts_from_the_last_change_on(whole):
    _, found = whole
    assert found["gradual"].checks["masks_last_changed"] == END
    for arm in GROWING:
        assert found[arm].checks["masks_last_changed"] == 143
        assert found[arm].checks["mask_updates"] == 11
        assert found[arm].early_stop_iteration >= 143
    assert found["gradual"].early_stop_iteration >= END


def test_the_cost_is_that_of_the_weights_at_each_step(whole):
    _, found = whole
    dense = found["ticket"].spent.flops_dense / LAST
    sizes = {path: count.total for path, count in found["gradual"].layers.items()}
    left = {path: count.remaining for path, count in found["gradual"].layers.items()}
    total, at = 0, [0, *range(EVERY, END, EVERY), END, LAST]
    for begin, end in itertools.pairwise(at):
        progress = 1 - (1 - min(begin / END, 1)) ** 3
        remaining = sum(size - round((size - left[path]) * progress) for path, size in sizes.items())
        total += (end - begin) * dense * remaining / sum(sizes.values())
    assert found["gradual"].spent.flops_remaining == pytest.approx(total, rel=1e-9)
    sparse, rigl = found["set"].spent.flops_remaining, found["rigl"].spent.flops_remaining
    assert sparse == found["static"].spent.flops_remaining
    assert rigl - sparse == pytest.approx(11 * (2 * sparse / LAST + dense) / 3, rel=1e-9)


def test_controls_take_the_masks_that_were_found(whole):
    directory, found = whole
    for control, arm in (("after_rigl", "rigl"), ("forked", "gradual")):
        assert found[control].spec.masks_of == found[arm].key
        taken, given = (loaded(directory, found[each], "masks") for each in (control, arm))
        assert all((taken[path] == given[path]).all() for path in given)
    records = Store(StudyPaths(directory)).records()
    costs = {entry.record.spec.arm: entry.search.steps for entry in ledger(records)}
    assert costs["gradual"] == costs["rigl"] == costs["static"] == 0
    assert costs["after_rigl"] == costs["forked"] == LAST


def test_controls_wait_for_the_masks():
    config = study().with_digests(lambda data: "d" * 64)
    waiting = plan(config, [])
    assert [spec.arm for spec in waiting] == ["ticket"], "first the dense network"


class Interrupted(StudyObserver):
    """Presses Ctrl-C once in the midst of each run of some arms."""

    def __init__(self, arms):
        self.waiting, self.firsts, self.arm = dict(arms), {}, None

    def started(self, spec, first, last):
        self.arm = spec.arm
        self.firsts.setdefault(spec.arm, []).append(first)

    def advanced(self, step):
        if step >= self.waiting.get(self.arm, math.inf):
            del self.waiting[self.arm]
            raise KeyboardInterrupt


def test_killed_runs_go_on_to_the_same_bits(whole, tmp_path):
    directory, _ = whole
    often = config_file.validate(study().model_dump() | {"storage": {"checkpoint_every": "7it"}})
    observer = Interrupted({"gradual": 70, "set": 110, "rigl": 105, "after_rigl": 70})
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run_study(often, tmp_path / "study", observer=observer)
    run_study(often, tmp_path / "study", observer=observer)
    for arm in ("gradual", "set", "rigl"):
        begun, resumed = observer.firsts[arm]
        assert (begun, resumed % EVERY > 0) == (0, True), "between two updates"
        assert EVERY < resumed < END
    assert results(tmp_path / "study") == results(directory)


@pytest.mark.slow
@pytest.mark.parametrize("kind", UPDATES)
def test_replicas_have_the_same_masks(kind, tmp_path, monkeypatch):
    config = study(training={"strategy": "mirrored", "steps": "60it", "xla": False}, arms={kind: {}})
    paths = StudyPaths(tmp_path / "study")
    config, store, trainers = prepare(config, paths), Store(paths), Trainers()
    (dense,) = plan(config, [])
    record = execute(dense, store, trainers)
    spec = next(spec for spec in plan(config, [record]) if spec.arm == kind)
    agreed, checked = [], []
    acts, loop_checks = MaskUpdates.act, Loop.check

    def act(self, step, passed):
        acts(self, step, passed)
        agreed.append(step)

    def loop_check(self):
        loop_checks(self)
        checked.append(True)

    monkeypatch.setattr(MaskUpdates, "act", act)
    monkeypatch.setattr(Loop, "check", loop_check)
    execute(spec, store, trainers)
    assert len(agreed) >= 3
    assert checked, "replicas are compared bit for bit, masks and slots included"
    trainer = trainers.trainer(spec)
    assert trainer.resolved["replicas"] == 2
    for variable in trainer.model.non_trainable_variables:
        if variable.path.endswith("kernel_mask"):
            first, second = (copy.numpy() for copy in variable.value.values)
            assert (first == second).all()
            assert 0 < first.sum() <= first.size


def recipe(kind, **changes):
    return Updates(**{"kind": kind, "every": "100it", "begin": 0.0, "end": 0.75} | changes)


def test_the_steps_of_updates():
    length = Length(per_epoch=50, last=1000, evaluate_every=100)
    assert update_steps(recipe("rigl"), length) == [100, 200, 300, 400, 500, 600, 700]
    assert update_steps(recipe("gradual"), length) == [100, 200, 300, 400, 500, 600, 700, 750]
    late = recipe("gradual", begin=0.5, end=1.0, every="5ep")
    assert update_steps(late, length) == [750, 1000]
    assert update_steps(recipe("set", end=1.0), length) == list(range(100, 1000, 100))


@pytest.mark.parametrize("arm", sorted(GROWING))
def test_masks_that_would_never_change_are_refused_before_anything_is_trained(arm, tmp_path):
    config = study(updates={"every": "150it"}, arms={arm: {}})
    paths = StudyPaths(tmp_path / "study")
    wrong = check(prepare(config, paths), Store(paths), Trainers())
    assert "Received: none" in wrong
    assert "updates.every" in wrong


FILES = ("weights_last", "masks")


def of_engine(engine, directory, **training):
    """Last weights, masks and record by arm: LeNet under an engine, arms whose masks change."""
    settings = {"engine": engine, "steps": "40it", "evaluate_every": "10it"} | training
    arms = {"gradual": {}, "set": {}, "rigl": {}}
    config = study(training=settings, model={"name": "lenet_300_100"}, updates={"every": "7it"}, arms=arms)
    records = {
        record.spec.arm: record for record in run_study(config, directory / "study") if record.spec.round
    }
    return {
        arm: (
            records[arm],
            *(loaded(directory / "study", records[arm], n) for n in ("weights_last", "masks")),
        )
        for arm in arms
    }


def test_the_sparse_engine_trains_the_same(tmp_path):
    exact = {"precision": "float64", "learning_rate": 0.002}
    ours, theirs = (of_engine(engine, tmp_path / engine, **exact) for engine in ("sparse", "dense"))
    for arm in theirs:
        (mine, weights, masks), (other, expected, expected_masks) = ours[arm], theirs[arm]
        assert (mine.resolved["engine"], other.resolved.get("engine")) == ("sparse", None)
        assert all((masks[path] == expected_masks[path]).all() for path in expected_masks)
        assert difference(weights, expected) < 1e-9
        assert mine.checks | {"units_computed": None} == other.checks | {"units_computed": None}
        assert mine.spent.flops_remaining == other.spent.flops_remaining


def test_the_engine_that_is_chosen_where_masks_change(tmp_path):
    found = of_engine("auto", tmp_path)
    assert found["gradual"][0].resolved["engine_reason"] == "the masks shrink within the training"
    assert [found[arm][0].resolved["engine"] for arm in ("gradual", "set", "rigl")] == [
        "dense",
        *["sparse"] * 2,
    ]


@pytest.mark.slow
def test_the_sparse_engine_killed_between_updates(tmp_path):
    settings = {"engine": "sparse", "steps": "200it"}
    arms = {"gradual": {}, "set": {}, "rigl": {}}
    whole = study(training=settings, arms=arms)
    run_study(whole, tmp_path / "whole" / "study")
    often = config_file.validate(whole.model_dump() | {"storage": {"checkpoint_every": "7it"}})
    observer = Interrupted({"gradual": 70, "set": 110, "rigl": 105})
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_study(often, tmp_path / "killed" / "study", observer=observer)
    run_study(often, tmp_path / "killed" / "study", observer=observer)
    assert all(observer.firsts[arm][1] % EVERY for arm in arms), "between two updates"
    assert results(tmp_path / "killed" / "study") == results(tmp_path / "whole" / "study")


@pytest.mark.parametrize(("arm", "refused"), [("set", True), ("rigl", True), ("gradual", False)])
def test_weights_dont_grow_back_where_they_are_frozen(arm, refused, tmp_path):
    model = {"build": "tests.training.networks:half_frozen", "frozen": True}
    paths = StudyPaths(tmp_path / "study")
    wrong = check(prepare(study(model=model, arms={arm: {}}), paths), Store(paths), Trainers())
    assert (wrong is not None) == refused
    assert not refused or "is frozen and would keep them there" in wrong


def test_a_grown_weight_starts_at_zero_with_slots_of_zero(tmp_path, monkeypatch):
    config = study(arms={"set": {}})
    paths = StudyPaths(tmp_path / "study")
    config, store, trainers = prepare(config, paths), Store(paths), Trainers()
    dense = execute(plan(config, [])[0], store, trainers)
    spec = next(spec for spec in plan(config, [dense]) if spec.arm == "set")
    trainer, seen, acts = trainers.trainer(spec), [], MaskUpdates.act

    def act(self, step, passed):
        before = trainer.masks()
        acts(self, step, passed)
        state, after = trainer.state(), trainer.masks()
        for path in after:
            grown = after[path] & ~before[path]
            slots = [v for k, v in state.items() if k.startswith("optimizer/") and v.shape == grown.shape]
            assert len(slots) >= 2
            seen.append(int(grown.sum()))
            for value in (state[f"model/{path}"], *slots):
                assert not value[grown].any()
                assert not value[~after[path]].any()

    monkeypatch.setattr(MaskUpdates, "act", act)
    execute(spec, store, trainers)
    assert sum(seen) > 50
