"""What a search gives back."""

import base64
import gc
import html
import re
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tests.search.models import FIT, TRAIN, VALIDATION, same, search, small, state, with_state


@pytest.fixture(scope="module")
def found():
    return search(with_state, controls=1).fit(*TRAIN, **FIT)


def test_tickets_start_with_theta_0_and_pruned_weights_are_plus_zero(found):
    dense, ticket = found.ticket(round=0), found.ticket(round=2)
    assert ticket.density == 0.25
    for path, mask in ticket.masks.items():
        assert (ticket.weights[path][mask] == dense.weights[path][mask]).all()
        for values in (ticket.weights[path][~mask], ticket.trained[path][~mask]):
            assert not values.any()
            assert not np.signbit(values).any()
    assert (dense.weights["hidden/bias"] == ticket.weights["hidden/bias"]).all()
    assert ticket.provenance["value"] == found.rounds[2].value


def test_a_ticket_goes_through_a_file_into_a_plain_model(found, tmp_path):
    found.ticket(round=1).save(tmp_path / "ticket.npz")
    ticket = lottery.Ticket.load(tmp_path / "ticket.npz")
    model = ticket.apply(with_state(), weights="trained")
    assert model.evaluate(*VALIDATION, verbose=0, return_dict=True)["accuracy"] == pytest.approx(
        found.rounds[1].value
    )
    again = ticket.reinitialize(5)
    assert all((again.masks[p] == ticket.masks[p]).all() for p in ticket.masks)
    assert same(again.weights, ticket.reinitialize(5).weights)
    assert not same(again.weights, ticket.reinitialize(6).weights)


def test_rounds_are_found_by_number_or_density(found):
    assert found.ticket(density=0.26).density == found.ticket(round=2).density == 0.25
    for wrong in (
        {"round": 1, "density": 0.5},
        {"round": 3},
        {"round": -1},
        {"round": True},
        {"round": "1"},
    ):
        with pytest.raises(lottery.LotteryError, match="Received: "):
            found.ticket(**wrong)
    for density in (0.7, 0.01, 0, -1, 2, float("nan"), "x"):
        with pytest.raises(lottery.LotteryError, match=f"Received: {density!r}$"):
            found.trained(density=density)


def test_trained_networks_are_plain_independent_and_as_good_as_the_table_says(found):
    before = state(found._network.model)
    first, second = found.trained(round=2), found.trained(round=2)
    for model in (first, second):
        assert type(model.get_layer("hidden")) is keras.layers.Dense
        assert not any("mask" in variable.path for variable in model.variables)
        scores = model.evaluate(*VALIDATION, verbose=0, return_dict=True)
        assert scores["accuracy"] == pytest.approx(found.rounds[2].value)
        assert np.count_nonzero(model.get_layer("hidden").kernel) == 160
    kept = state(second)
    first.fit(*TRAIN, verbose=0)
    assert same(state(second), kept)
    assert not same(state(first), kept)
    assert same(state(found._network.model), before)


def test_the_sparsest_matching_round_or_one_clear_line(found):
    assert found.matching_round(tolerance=1) == 2
    assert found.matching_ticket(tolerance=1).density == 0.25
    values = [record.value for record in found.rounds]
    with pytest.raises(lottery.LotteryError) as caught:
        found.matching_ticket(tolerance=-1)
    assert "\n" not in str(caught.value)
    listed = ", ".join(f"round {round}: {value:.4g}" for round, value in enumerate(values))
    assert f"matches the dense network within -1 ({listed})" in str(caught.value)


def test_the_summary_names_every_run(found):
    text = found.summary(tolerance=1)
    assert text.count("random_reinit") == 2
    assert "Sparsest matching ticket: round 2, 25.0% of the weights (185 of 740)" in text
    assert "randomly reinitialized" in text


def test_the_picture_is_a_png(found, tmp_path):
    path = found.plot(tmp_path / "new" / "tickets.png", tolerance=1)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert path.stat().st_size > 10_000


def test_a_notebook_shows_the_summary_and_the_picture_without_a_script(found):
    page = found._repr_html_()
    first, *_, last = found.summary().splitlines()
    assert f"<p>{html.escape(first)}</p>" in page
    assert f"<p>{html.escape(last)}</p>" in page
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    assert len(rows) == 1 + len(found.records)
    dense = found.rounds[0]
    assert re.findall(r"<t[hd] [^>]*>(.*?)</t[hd]>", rows[1])[:4] == ["dense", "0", "740", "100.0%"]
    assert f">{dense.value:.4f}</td>" in rows[1]
    assert ("* " in page) == (found.matching_round() is not None)
    picture = base64.b64decode(page.partition("data:image/png;base64,")[2].partition('"')[0])
    assert picture.startswith(b"\x89PNG\r\n")
    assert "<script" not in page


def test_nothing_is_left_in_the_temporary_directory(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = search(rounds=1).fit(*TRAIN, **{**FIT, "epochs": 1})
    assert found.directory.exists()
    assert Path(tmp_path) in found.directory.parents
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del found
        gc.collect()
    assert not list(tmp_path.iterdir())

    class Stop(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(rounds=1).fit(*TRAIN, **FIT, callbacks=[Stop()])
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_trained_network_goes_on_with_a_new_optimizer():
    result = search(small, rounds=1).fit(*TRAIN, **FIT)
    for round in (0, 1):
        optimizer = result.trained(round=round).optimizer
        assert int(optimizer.iterations) == 0
        assert float(optimizer.learning_rate) == pytest.approx(0.001)
        assert all(not np.asarray(slot).any() for slot in optimizer.variables[2:])
