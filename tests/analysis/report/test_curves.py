"""The papers' two figures: their points, their axes, and what they say of themselves."""

import pytest

from tests.analysis.made_up import DENSITIES, GOOD, made_up, on_disk
from tests.analysis.report.pages import Page
from tf_lottery.analysis.findings import test_accuracy as accuracy
from tf_lottery.analysis.report.curves import curves, floor, points
from tf_lottery.analysis.report.gather import gather
from tf_lottery.method.results import Results

ARMS = ["ticket", "random_reinit", "shuffled"]


def of(directory, **truth):
    """The material of made-up findings."""
    return gather(on_disk(made_up(**{"arms": ARMS} | truth), directory))


def axes_texts(picture):
    """The texts of a figure."""
    return Page(f"<body>{picture.svg}</body>").texts["text"]


def test_points_are_means_with_minimum_and_maximum():
    found = points(Results(made_up(arms=ARMS).records), "ticket", accuracy)
    assert [point.round for point in found] == [0, 1, 2, 3, 4]
    for point in found:
        assert point.density == pytest.approx(100 * round(1024 * DENSITIES[point.round]) / 1024)
        assert point.replicates == 3
    # Replicates lie 0.3 points apart. The dense network has noise of 0.05 points of its own: -1, 0, 1 times.
    dense, ticket = found[0], found[1]
    assert (dense.mean, dense.low, dense.high) == pytest.approx((95.3, 94.95, 95.65))
    assert (ticket.mean, ticket.low, ticket.high) == pytest.approx((96.3, 96.0, 96.6))


def test_both_figures_are_drawn_with_percent_labels(tmp_path):
    section = curves(of(tmp_path))
    test, early = section.blocks[0].pictures
    assert (test.name, early.name) == ("test_accuracy", "early_stop")
    texts = axes_texts(test)
    for expected in ("100", "50", "21", "1.2", "weights remaining (%)"):
        assert expected in texts
    assert {*ARMS, "dense network", "sparsest matching (1.2%)"} <= set(texts)
    assert "test accuracy at early stop (%)" in texts
    assert "step of early stop" in axes_texts(early)
    assert "Means of 3 replicates, bars from minimum to maximum." in test.caption


def test_one_replicate_has_no_bars_to_tell_of(tmp_path):
    section = curves(of(tmp_path, replicates=1))
    assert "bars" not in section.blocks[0].pictures[0].caption


def test_no_ticket_is_marked_while_runs_are_missing(tmp_path):
    section = curves(of(tmp_path, keep=lambda spec: spec.round < 3 or spec.replicate == 0))
    texts = axes_texts(section.blocks[0].pictures[0])
    assert not [text for text in texts if "matching" in text]
    assert [block.text for block in section.blocks[1:]] == ["Hollow points lack some of the 3 replicates."]


def test_what_falls_far_below_is_cut_off_and_said(tmp_path):
    # The dense network and the control, with noise of 0.05 points, are at 94.95 at least. The top is 96.6, so
    # the axis ends 1.5 times 1.65 points below it.
    material = of(tmp_path, test=GOOD | {"shuffled": -30.0})
    assert floor(material) == pytest.approx(96.6 - 1.5 * 1.65)
    caption = curves(material).blocks[0].pictures[0].caption
    assert "Values below 94.1 are cut off (shuffled); the table of tickets has them." in caption


def test_nothing_is_cut_off_that_lies_near(tmp_path):
    material = of(tmp_path)
    assert floor(material) is None
    assert "cut off" not in curves(material).blocks[0].pictures[0].caption
