"""Arms that prune nothing or follow a cheaper search, and what it takes to add to the method."""

import numpy as np
import pytest

from tests.runs.expected import SIZES, after, assert_equal, by_layer, masked
from tests.runs.pairwise import RATE, ROUNDS, STEPS, Trained, study_of
from tf_lottery import config_file
from tf_lottery.method.arms import ARMS
from tf_lottery.method.building import edited
from tf_lottery.method.spec import Edit
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.pruning.edits import EDITS
from tf_lottery.pruning.scopes import SCOPES
from tf_lottery.runs.starts import STARTS, theta_0
from tf_lottery.runs.subject import Start

CHEAP, SHARE = 10, 0.5
FOLLOWERS = ("final", "one_shot", "random_reinit", "fork", "dense_longer")


def settings(**changes):
    return config_file.validate(study_of([])[0].model_dump() | changes)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    arms = {"ticket": {}, **{arm: {} for arm in FOLLOWERS}}
    study = settings(arms=arms, search={"steps": f"{CHEAP}it", "data": SHARE})
    return Trained(study, tmp_path_factory.mktemp("searched") / "study")


def test_a_search_trains_shorter_on_a_share_and_what_follows_in_full(searched):
    assert ("final", 0) in searched.records, "the dense network in full, which tickets are held against"
    for (arm, round), record in searched.records.items():
        assert record.last_step == (CHEAP if arm == "ticket" else STEPS), (arm, round)
        assert record.spec.data.share == (SHARE if arm == "ticket" else 1.0), (arm, round)
        assert record.first_step == 0
    dense, full = (searched.records[arm, 0].spec for arm in ("ticket", "final"))
    assert (dense.init_seed, dense.start) == (full.init_seed, full.start)


def test_a_final_run_trains_the_mask_of_the_search_from_its_rewind_point(searched):
    for round in range(1, ROUNDS + 1):
        final, ticket = (searched.records[arm, round] for arm in ("final", "ticket"))
        assert final.key != ticket.key
        masks = searched.store.masks(ticket.key)
        assert_equal(searched.store.masks(final.key), masks, "final")
        initial = searched.store.rewind_point(searched.dense.key, 0)
        assert_equal(searched.starts.weights[final.key], masked(initial, masks), "final")
        assert {path: count.remaining for path, count in final.layers.items()} == by_layer(round)


def test_dense_longer_goes_on_from_its_own_last_weights_and_prunes_nothing(searched):
    before = searched.records["final", 0]
    for round in range(1, ROUNDS + 1):
        record = searched.records["dense_longer", round]
        assert record.weights_remaining == sum(SIZES.values())
        assert all(mask.all() for mask in searched.store.masks(record.key).values())
        began = searched.starts.weights[record.key]
        assert_equal(began, searched.store.weights(before.key), round)
        before = record


# Adding to the method: one function each -----------------------------------------------------------------


def by_index(evidence):
    return {path: np.arange(w.size, dtype=float).reshape(w.shape) for path, w in evidence.weights.items()}


def first_layer_pays(layers):
    others = {(path,): layers.remaining[path] for path in layers.competing[1:]}
    return {layers.competing[:1]: layers.total - sum(others.values()), **others}


def mirrored(pruned):
    return {path: mask[::-1] for path, mask in pruned.masks.items()}


def halved(origin):
    return Start({n: v / 2 if n.endswith("kernel") else v for n, v in theta_0(origin).items()})


def halves(place):
    return edited(place, start="halved", edits=(Edit(kind="mirrored"),))


def test_one_function_and_one_line_add_a_criterion_a_scope_an_edit_a_start_and_an_arm(tmp_path, monkeypatch):
    monkeypatch.setitem(CRITERIA, "by_index", by_index)
    monkeypatch.setitem(SCOPES, "first_layer_pays", first_layer_pays)
    monkeypatch.setitem(EDITS, "mirrored", mirrored)
    monkeypatch.setitem(STARTS, "halved", halved)
    monkeypatch.setitem(ARMS, "halves", halves)
    pruning = {"criterion": "by_index", "scope": "first_layer_pays", "rate": RATE, "rounds": 1}
    trained = Trained(settings(arms={"halves": {}}, pruning=pruning), tmp_path / "study")
    ticket, arm = (trained.records[name, 1] for name in ("ticket", "halves"))
    total = sum(SIZES.values())
    left = SIZES["first/kernel"] - (total - after(total, RATE, 1))
    assert {path: count.remaining for path, count in ticket.layers.items()} == SIZES | {"first/kernel": left}
    mask = np.arange(SIZES["first/kernel"]).reshape(64, 12) >= SIZES["first/kernel"] - left
    np.testing.assert_array_equal(trained.store.masks(ticket.key)["first/kernel"], mask)
    np.testing.assert_array_equal(trained.store.masks(arm.key)["first/kernel"], mask[::-1])
    began = trained.starts.weights[arm.key]["model/first/kernel"]
    initial = trained.store.rewind_point(trained.dense.key, 0)["model/first/kernel"]
    np.testing.assert_array_equal(began, np.where(mask[::-1], initial / 2, 0))
    assert not trained.store.weights(arm.key)["model/first/kernel"][~mask[::-1]].any()
