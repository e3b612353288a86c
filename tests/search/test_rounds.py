"""What each round of a search begins with."""

import keras
import numpy as np
import pytest

from tests.search.models import FIT, PER_EPOCH, TRAIN, Spy, same, search, small, state, with_state


def masked(start, masks):
    return {
        name: np.where(masks[name], value, np.zeros_like(value)) if name in masks else value
        for name, value in start.items()
    }


@pytest.fixture(scope="module")
def searched():
    """Two prunings of a model with all kinds of state, one control each, seen by a spy."""
    model, spy = with_state(), Spy()
    before = state(model)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.1, patience=0, min_delta=1e9)
    found = search(model, controls=1).fit(*TRAIN, **FIT, callbacks=[spy, plateau])
    return found, spy, model, before


def test_counts_are_exact_in_each_round(searched):
    found = searched[0]
    assert [r.weights_remaining for r in found.rounds] == [740, 370, 185]
    assert [{p: c.remaining for p, c in r.layers.items()} for r in found.rounds] == [
        {"hidden/kernel": 640, "output/kernel": 100},
        {"hidden/kernel": 320, "output/kernel": 50},
        {"hidden/kernel": 160, "output/kernel": 25},
    ]
    assert [(r.spec.arm, r.spec.round) for r in found.records] == [
        ("ticket", 0),
        *(("ticket", 1), ("random_reinit", 1), ("ticket", 2), ("random_reinit", 2)),
    ]


def test_each_round_begins_with_theta_0_under_its_mask_bit_for_bit(searched):
    _, spy, _, before = searched
    assert any(name.startswith("other/") for name in before)  # the seed of dropout
    order = [0, 1, 3]  # the controls come in between
    for start, masks in ((spy.begun[i], spy.masks[i]) for i in order):
        assert same(start, masked(before, masks))
    assert np.any(before["hidden/bias"])


def test_masks_shrink_and_controls_have_their_tickets(searched):
    _, spy, _, _ = searched
    for ticket, control in ((1, 2), (3, 4)):
        assert all((spy.masks[ticket][p] == spy.masks[control][p]).all() for p in spy.masks[0])
    assert all(not (spy.masks[3][p] & ~spy.masks[1][p]).any() for p in spy.masks[0])


def test_what_is_pruned_is_the_smallest_of_the_last_weights(searched):
    found, spy, _, _ = searched
    last = found._store.weights(found.rounds[0].key)
    for path, kept in spy.masks[1].items():
        sizes = np.abs(last[f"model/{path}"])
        assert sizes[kept].min() >= sizes[~kept].max()


def test_the_optimizer_is_fresh_in_each_round(searched):
    _, spy, _, _ = searched
    assert len(spy.optimizer) == 5
    for values, rate in zip(spy.optimizer, spy.rates, strict=True):
        assert rate == pytest.approx(0.01)
        moments = [v for path, v in values.items() if "learning_rate" not in path]
        assert len(moments) == 13  # iterations, two moments of six variables
        assert not any(np.any(value) for value in moments)


def test_controls_draw_other_weights(searched):
    found, spy, _, before = searched
    for control in (2, 4):
        start, masks = spy.begun[control], spy.masks[control]
        kept = masks["hidden/kernel"]
        fresh, old = start["hidden/kernel"][kept], before["hidden/kernel"][kept]
        assert not np.any(fresh == old)
        assert abs(np.corrcoef(fresh, old)[0, 1]) < 5 / np.sqrt(kept.sum())
        assert np.any(start["hidden/bias"] != before["hidden/bias"])
    assert np.any(spy.begun[2]["hidden/kernel"] != spy.begun[4]["hidden/kernel"])
    assert all(
        abs(r.checks["reinit_correlation_first_layer"]) < 0.2 for r in found.records if r.spec.arm != "ticket"
    )


def test_the_users_own_model_is_left_alone_where_it_is_copied(searched):
    found, _, model, before = searched
    assert same(state(model), before)
    assert model.compiled
    assert int(model.optimizer.iterations) == 0
    assert type(model.get_layer("hidden")) is keras.layers.Dense
    assert found.theta_0 == "the weights of the model as it was given"


def test_the_table_tells_what_fit_logged(searched):
    found = searched[0]
    for record, history in zip(found.rounds, found.history, strict=True):
        best = max(history["val_accuracy"])
        assert (record.value, record.epoch) == (best, history["val_accuracy"].index(best) + 1)
        assert record.final["val_accuracy"] == history["val_accuracy"][-1]
        assert record.epochs == [1, 2]
        assert (record.first_step, record.last_step) == (0, 2 * PER_EPOCH)


@pytest.mark.parametrize(
    ("point", "step", "epochs"),
    [("1ep", 4, [1, 2]), ("7it", 7, [1, 2]), pytest.param("3it", 3, [0, 1, 2], marks=pytest.mark.slow)],
)
def test_late_rewinding_takes_the_dense_runs_state_at_that_step(point, step, epochs):
    spy = Spy(at=(step,))
    model = with_state()
    found = search(model, rewind_to=point, rounds=1).fit(*TRAIN, **{**FIT, "epochs": 3}, callbacks=[spy])
    assert same(spy.begun[1], masked(spy.states[step], spy.masks[1]))
    assert [epoch for run, epoch in spy.epochs if run == 1] == epochs
    assert spy.optimizer[1][model.optimizer.iterations.path] == step
    ticket = found.rounds[1]
    assert (ticket.first_step, ticket.last_step) == (step, step + PER_EPOCH * len(epochs))
    assert ticket.epochs == [epoch + 1 for epoch in epochs]
    assert same(found.ticket(round=1).weights, spy.begun[1])


def test_the_optimizer_of_the_rewind_point_can_be_restored():
    class Moments(Spy):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch)
            if self._step == 4 and len(self.begun) == 1:
                self.there = {v.path: np.array(v.numpy()) for v in self.model.optimizer.variables}

    spy = Moments()
    search(rewind_to="1ep", rewind_optimizer="restore", rounds=1).fit(*TRAIN, **FIT, callbacks=[spy])
    assert sum("_kernel" in path for path in spy.there) == 4
    for path, value in spy.there.items():
        kernel = next((k for k in spy.masks[1] if k.replace("/", "_") in path), None)
        expected = np.where(spy.masks[1][kernel], value, 0) if kernel else value
        assert (spy.optimizer[1][path] == expected).all(), path


def test_a_model_that_was_trained_is_said_to_be():
    model = small()
    model.fit(*TRAIN, verbose=0)
    before, spy = state(model), Spy()
    found = search(model, rounds=1).fit(*TRAIN, **FIT, callbacks=[spy])
    assert "trained for 4 steps" in found.theta_0
    assert "pre-trained" in found.theta_0
    assert "function that builds" in found.theta_0
    assert same(spy.begun[1], masked(before, spy.masks[1]))
    assert not spy.optimizer[0][next(p for p in spy.optimizer[0] if "iteration" in p)]
    assert found.theta_0 in found.summary()
