"""Weights of the first layer at each pixel."""

import pytest

import tf_lottery as lottery
from tf_lottery.analysis.report.first_layer import first_layer
from tf_lottery.analysis.report.gather import gather
from tf_lottery.paths import StudyPaths

SMALL = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=2", "replicates=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of real digits, with a control that has another mask, and one that has the same."""
    directory = tmp_path_factory.mktemp("first") / "study"
    arms = "arms={ticket: {}, random_reinit: {}, shuffled: {}}"
    lottery.run_study("digits_quick", directory, [*SMALL, arms])
    return StudyPaths(directory)


def test_the_ticket_is_shown_beside_a_control_with_another_mask(trained):
    material = gather(trained)
    (picture,) = first_layer(material).blocks
    assert (
        "in the masks of ticket, beside that of shuffled, at round 2 (64.3% of all weights)"
        in picture.caption
    )
    assert "random_reinit" not in picture.caption
    assert material.damaged == []


def test_a_network_of_ones_own_is_left_out(trained):
    material = gather(trained)
    model = material.study.model.model_copy(update={"build": "some:where"})
    material.study = material.study.model_copy(update={"model": model})
    assert first_layer(material).blocks == []


def test_damaged_masks_are_left_out_and_noted(trained):
    material = gather(trained)
    record = next(r for r in material.records if (r.spec.arm, r.spec.round) == ("shuffled", 2))
    path = trained.run(record.key).masks
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-8] + b"damaged!")
        (picture,) = first_layer(material).blocks
    finally:
        path.write_bytes(content)
    assert len(material.damaged) == 1
    assert "Means over replicates" in picture.caption
