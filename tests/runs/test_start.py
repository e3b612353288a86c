"""The one start of a run, on a subject of plain arrays, with the files of a real study."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tf_lottery.config import RewindConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.redraw import Redrawn
from tf_lottery.length import Length
from tf_lottery.paths import StudyPaths
from tf_lottery.pruning.masks import zeroed
from tf_lottery.runs import masks as masks_
from tf_lottery.runs import starts
from tf_lottery.runs.start import start_run
from tf_lottery.runs.subject import Start
from tf_lottery.store.store import Store

LENGTH = Length(per_epoch=20, last=40, evaluate_every=20)


class Plain:
    """Holds what it is given. With `careless` it forgets the masks, or a bit."""

    frozen: tuple[str, ...] = ()

    def __init__(self, shapes, present, careless=None):
        self._present = present
        self._shapes, self._careless, self.optimizer, self.held = shapes, careless, None, None

    def shapes(self):
        return self._shapes

    def dense(self, seed):
        return {"model/b": np.full(2, seed, np.float32)}

    def redrawn(self, seed, theta_0):
        assert not any(name.startswith("optimizer/") for name in theta_0)
        return Redrawn({name: value + 1 for name, value in theta_0.items()}, (), 0.001)

    def named(self, arrays, prefix):
        return dict(arrays)

    def begin(self, masks, weights, step, optimizer):
        self.step, self.optimizer = step, optimizer
        self.held = weights if self._careless == "masks" else zeroed(weights, _by_name(masks))
        if self._careless == "a bit":
            name = next(iter(self.held))
            self.held[name] = np.nextafter(self.held[name], np.float32(9))

    def weights(self):
        return self.held if self.held is not None else self._present


def _by_name(masks):
    return {f"model/{path}": mask for path, mask in masks.items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("before")
    shutil.unpack_archive(Path(__file__).parent.parent / "version_0_1.zip", root)
    return Store(StudyPaths(root / "study"))


def record_of(store, arm, round):
    return next(r for r in store.records() if (r.spec.arm, r.spec.round) == (arm, round))


def subject(store, careless=None):
    masks = store.masks(record_of(store, "ticket", 0).key)
    present = store.rewind_point(record_of(store, "ticket", 0).key, 0)
    present = {name: value for name, value in present.items() if name.startswith("model/")}
    return Plain({path: mask.shape for path, mask in masks.items()}, present, careless)


@pytest.mark.parametrize("round", [1, 2])
def test_a_ticket_returns_to_the_rewind_point_with_the_masks_that_it_had(store, round):
    record, plain = record_of(store, "ticket", round), subject(store)
    begun = start_run(record.spec, store, plain, LENGTH)
    assert (begun.first_step, plain.step, plain.optimizer) == (20, 20, None)
    assert begun.checks["rewind_digest"] == record.checks["rewind_digest"]
    point, masks = store.rewind_point(record.spec.root, 20), _by_name(store.masks(record.key))
    expected = zeroed({name: value for name, value in point.items() if name.startswith("model/")}, masks)
    assert {name: value.tobytes() for name, value in plain.held.items()} == {
        name: value.tobytes() for name, value in expected.items()
    }
    assert sum(int((value == 0).sum()) for value in plain.held.values()) >= record.weights_total - (
        record.weights_remaining
    )


def test_the_optimizer_is_restored_on_request(store):
    spec, plain = record_of(store, "ticket", 1).spec, subject(store)
    rewind = RewindConfig(to="20it", optimizer="restore")
    start_run(spec.model_copy(update={"rewind": rewind}), store, plain, LENGTH)
    assert plain.optimizer
    assert all(name.startswith("optimizer/") for name in plain.optimizer)


def test_a_control_has_the_tickets_masks_and_begins_at_step_0(store):
    record, plain = record_of(store, "random_reinit", 1), subject(store)
    begun = start_run(record.spec, store, plain, LENGTH)
    assert (begun.first_step, begun.checks) == (0, {"reinit_correlation_first_layer": 0.001})
    for path, mask in store.masks(record_of(store, "ticket", 1).key).items():
        assert not plain.held[f"model/{path}"][~mask].any()


def test_masks_of_another_run_are_taken_as_they_are(store):
    ticket = record_of(store, "ticket", 2)
    spec = record_of(store, "random_reinit", 1).spec
    spec = spec.model_copy(update={"parent": None, "pruning": None, "masks_of": ticket.key})
    masks = masks_.masks_of(spec, store, subject(store))
    assert {path: mask.tobytes() for path, mask in masks.items()} == {
        path: mask.tobytes() for path, mask in store.masks(ticket.key).items()
    }


@pytest.mark.parametrize("careless", ["masks", "a bit"])
def test_a_subject_that_does_not_begin_where_it_should_is_noticed(store, careless):
    with pytest.raises(RuntimeError, match="bit for bit"):
        start_run(record_of(store, "ticket", 1).spec, store, subject(store, careless), LENGTH)


def test_an_unknown_start_is_refused(store):
    spec = record_of(store, "ticket", 1).spec.model_copy(update={"start": "nowhere"})
    with pytest.raises(LotteryError, match="initialize, .*rewind, .*reinitialize.*'nowhere'"):
        start_run(spec, store, subject(store), LENGTH)


def test_a_further_start_is_a_function_and_a_line(store, monkeypatch):
    def doubled(origin):
        return Start({name: 2 * value for name, value in starts.theta_0(origin).items()}, 3)

    monkeypatch.setitem(starts.STARTS, "doubled", doubled)
    spec = record_of(store, "ticket", 1).spec.model_copy(update={"start": "doubled"})
    plain = subject(store)
    assert start_run(spec, store, plain, LENGTH).first_step == plain.step == 3


@pytest.mark.parametrize(
    ("broken", "received"),
    [
        (lambda name, value: {name: value.astype(np.float64)}, "float64 of shape"),
        (lambda name, value: {name: value[:1]}, "float32 of shape"),
        (lambda name, value: {}, "none"),
    ],
    ids=["another type", "another shape", "missing"],
)
def test_a_start_that_gives_other_variables_says_which(store, monkeypatch, broken, received):
    def other(origin):
        found = starts.rewind(origin).weights
        name = next(iter(found))
        value = found.pop(name)
        return Start({**found, **broken(name, value)})

    monkeypatch.setitem(starts.STARTS, "other", other)
    spec = record_of(store, "ticket", 1).spec.model_copy(update={"start": "other"})
    with pytest.raises(LotteryError, match=f"start 'other' to return float32.*Received: {received}"):
        start_run(spec, store, subject(store), LENGTH)


@pytest.mark.parametrize(
    ("score", "received"),
    [
        (lambda weights: {}, "Received: none"),
        (lambda weights: None, "a mapping.*Received: NoneType"),
        (lambda weights: {path: value.T for path, value in weights.items()}, "Received: float32 of shape"),
        (
            lambda weights: {path: value.tolist() for path, value in weights.items()},
            "Received: list of shape",
        ),
        (lambda weights: {path: value + 0j for path, value in weights.items()}, "Received: complex64 of"),
    ],
)
def test_a_criterion_whose_scores_do_not_fit_is_named(store, monkeypatch, score, received):
    monkeypatch.setitem(masks_.CRITERIA, "magnitude", lambda evidence: score(evidence.weights))
    with pytest.raises(LotteryError, match=f"criterion 'magnitude' to (score|return) .*{received}"):
        start_run(record_of(store, "ticket", 1).spec, store, subject(store), LENGTH)


@pytest.mark.parametrize("kind", ["constant_sign", "reshuffle", "keep_signs"])
def test_a_frozen_kernel_stays_what_it_is(store, kind):
    spec, plain = record_of(store, "ticket", 1).spec, subject(store)
    paths = list(plain.shapes())
    plain.frozen = (paths[0],)
    start_run(spec.model_copy(update={"start": kind, "init_seed": 1, "rewind": None}), store, plain, LENGTH)
    masks = {f"model/{path}": mask for path, mask in store.masks(record_of(store, "ticket", 1).key).items()}
    first = zeroed({n: v for n, v in store.rewind_point(spec.root, 0).items() if n in masks}, masks)
    changed = [name for name in masks if plain.held[name].tobytes() != first[name].tobytes()]
    redrawn = kind == "keep_signs"  # whose own draw decides what is kept
    assert changed == [f"model/{path}" for path in (paths if redrawn else paths[1:])]
