"""Whole studies with masks that are trained: what their runs leave is a ticket like any other."""

import numpy as np
import pytest

from tests.drivers.test_run_study import results, study
from tests.runs.test_check import NothingTrained
from tests.runs.test_resume import interrupted
from tests.training.test_supermask import DROPOUT, engine_of
from tests.training.trainings import trainer
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.strong import bake
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.store.tickets import make_ticket

QUICK = {"steps": "80it", "optimizer": "adam", "learning_rate": 0.02}


def masked(kind, **own):
    return {"like": "supermask", "rounds": [1], "supermask": {"kind": kind}, "training": QUICK} | own


ARMS = {
    "popup": masked("edge_popup"),
    "learned": masked("learned", supermask={"kind": "learned", "constant": True}),
    "popup_shuffled": {"like": "shuffled", "on": "popup"},
    "learned_reinit": {"like": "random_reinit", "on": "learned"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("strong") / "study"
    records = run_study(study(pruning__rounds=1, arms={"ticket": {}, **ARMS}), directory)
    by_place = {(record.spec.arm, record.spec.round): record for record in records}
    return directory, Store(StudyPaths(directory)), by_place


def test_edge_popup_leaves_as_many_weights_as_the_ticket_and_they_are_those_of_step_0(trained):
    _, store, records = trained
    dense, ticket, popup = records["ticket", 0], records["ticket", 1], records["popup", 1]
    assert {path: count.remaining for path, count in popup.layers.items()} == {
        path: count.remaining for path, count in ticket.layers.items()
    }
    masks, first = store.masks(popup.key), store.rewind_point(dense.key, 0)
    weights = store.weights(popup.key)
    assert any((mask != store.masks(ticket.key)[path]).any() for path, mask in masks.items())
    for path, mask in masks.items():
        expected = np.where(mask, first[f"model/{path}"], 0)
        assert weights[f"model/{path}"].tobytes() == expected.tobytes()
    for name, value in weights.items():
        if "kernel" not in name and "moving" not in name and "other" not in name:
            assert value.tobytes() == first[name].tobytes(), name
    assert popup.checks["rewind_digest"] == dense.digests["rewind/0it"]
    assert popup.checks["weights_stayed"] is True


def test_a_record_tells_the_density_that_was_learned_the_kind_and_the_honest_cost(trained):
    _, store, records = trained
    learned, popup = records["learned", 1], records["popup", 1]
    masks = store.masks(learned.key)
    assert learned.weights_remaining == sum(int(mask.sum()) for mask in masks.values())
    assert 0 < learned.density < 1
    assert learned.density != popup.density
    assert popup.resolved["supermask"] == {"kind": "edge_popup"}
    sizes = learned.resolved["supermask"]["sizes"]
    weights = store.weights(learned.key)
    for path, mask in masks.items():
        assert set(np.abs(weights[f"model/{path}"][mask]).tolist()) == {sizes[path]}
    for record in (learned, popup):
        assert record.spent.flops_remaining == record.spent.flops_dense > 0
        assert record.spent.steps == 80


def test_early_stop_is_the_last_step_and_the_test_set_is_measured_with_what_is_kept(trained):
    _, store, records = trained
    for arm in ("popup", "learned"):
        record = records[arm, 1]
        assert record.early_stop_iteration == record.last_step == 80
        last, early = (store.weights(record.key, which) for which in ("last", "early_stop"))
        assert all(value.tobytes() == early[name].tobytes() for name, value in last.items())
        assert record.early_stop_test_accuracy == record.final_test_accuracy
        assert record.best_validation_loss == record.final_validation_loss


def test_controls_train_weights_under_the_masks_that_were_trained(trained):
    _, store, records = trained
    control, masks = records["learned_reinit", 1], store.masks(records["learned", 1].key)
    for path, mask in store.masks(control.key).items():
        np.testing.assert_array_equal(mask, masks[path])
    shuffled, popup = records["popup_shuffled", 1], records["popup", 1]
    assert shuffled.layers == popup.layers
    assert any(
        (mask != store.masks(popup.key)[path]).any() for path, mask in store.masks(shuffled.key).items()
    )
    assert shuffled.early_stop_iteration <= shuffled.last_step


def test_a_ticket_holds_the_masks_the_weights_of_step_0_and_those_of_the_supermask(trained):
    directory, store, records = trained
    record = records["learned", 1]
    ticket = make_ticket(load(StudyPaths(directory)), store, record)
    first, last = store.rewind_point(record.spec.root, 0), store.weights(record.key)
    for path, mask in ticket.masks.items():
        np.testing.assert_array_equal(ticket.weights[path], np.where(mask, first[f"model/{path}"], 0))
        np.testing.assert_array_equal(ticket.trained[path], last[f"model/{path}"])


@pytest.mark.parametrize(
    "kind", ["learned", *(pytest.param(k, marks=pytest.mark.slow) for k in ("edge_popup", "signed"))]
)
def test_a_run_that_is_killed_goes_on_to_the_same_bits(kind, tmp_path):
    own = {"steps": "600it", "evaluate_every": "250it"}
    arms = {"ticket": {}, "supermask": masked(kind, like=None, training={**QUICK, **own})}
    whole = study(pruning__rounds=1, arms=arms)
    run_study(whole, tmp_path / "whole" / "study")
    often = study(pruning__rounds=1, arms=arms, storage={"checkpoint_every": "100it"})
    directory = tmp_path / "interrupted" / "study"
    starts = interrupted(often, directory, [110, 310])
    assert [start[0] for start in starts if start[3] > 0] == ["supermask", "supermask"]
    assert results(directory) == results(tmp_path / "whole" / "study")


@pytest.mark.parametrize(
    ("arm", "training", "message"),
    [
        (
            masked("edge_poppup"),
            {},
            "a supermask.kind of edge_popup, learned, signed. Received: 'edge_poppup'",
        ),
        (masked("learned"), {"engine": "sparse"}, "the sparse engine lacks masks that are trained"),
        (masked("edge_popup", training={"optimizer": "muon"}), {}, "an optimizer that works with pruning"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused_before_anything_is(arm, training, message, tmp_path):
    base = {"steps": "60it", "evaluate_every": "20it", "xla": False, **training}
    asked = study(pruning__rounds=1, training=base, arms={"ticket": {}, "arm": arm})
    with pytest.raises(LotteryError, match=message):
        run_study(asked, tmp_path, observer=NothingTrained())


def test_a_mask_that_prunes_a_whole_layer_is_no_ticket(digits):
    setup = trainer(digits, DROPOUT, xla=False)
    engine = engine_of(setup, digits, "signed", threshold=1e9)
    with pytest.raises(LotteryError, match="prunes all of hidden/kernel"):
        bake(engine, setup)


def test_auto_says_why_the_dense_engine_trains_the_masks(tmp_path):
    base = {"steps": "20it", "evaluate_every": "20it", "xla": False, "engine": "auto"}
    arms = {"ticket": {}, "supermask": masked("edge_popup", like=None, training={})}
    model = {"name": "lenet_300_100"}
    *_, record = run_study(study(pruning__rounds=1, training=base, arms=arms, model=model), tmp_path / "s")
    assert record.resolved["engine_reason"] == "the sparse engine lacks masks that are trained"
