"""The table of tickets."""

import pytest

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.report.gather import gather
from tf_lottery.analysis.report.tickets import tickets


def test_mean_minimum_and_maximum_by_round(tmp_path):
    blocks = tickets(gather(on_disk(made_up(arms=["ticket", "random_reinit"]), tmp_path))).blocks
    assert blocks[0].head[4:] == ["mean", "min", "max", "early stop", "replicates"]
    # Replicates at 95, 95.3 and 95.6, the dense network with noise of -0.05, 0 and 0.05 points more.
    dense = ["ticket (dense)", "0", "1,024", "100.0%", "95.30", "94.95", "95.65", "600", "3"]
    assert blocks[0].rows[0] == dense
    assert blocks[0].rows[4] == ["ticket ★", "4", "12", "1.2%", "96.30", "96.00", "96.60", "400", "3"]
    assert [row[0] for row in blocks[0].rows] == ["ticket (dense)", "ticket", "ticket", "ticket", "ticket ★"]
    assert blocks[1].text.startswith("★ The sparsest matching ticket")
    assert [row[:2] for row in blocks[2].blocks[0].rows] == [
        ["random_reinit", str(at)] for at in (1, 2, 3, 4)
    ]


def test_one_replicate_has_one_column(tmp_path):
    blocks = tickets(gather(on_disk(made_up(1, arms=["ticket"]), tmp_path))).blocks
    assert blocks[0].head == [
        "arm",
        "round",
        "weights remaining",
        "density",
        "test accuracy (%)",
        "early stop",
    ]


@pytest.mark.parametrize("round", [2, 4])
def test_no_star_before_the_end(tmp_path, round):
    findings = made_up(arms=["ticket"], keep=lambda spec: (spec.round, spec.replicate) < (round, 1))
    blocks = tickets(gather(on_disk(findings, tmp_path))).blocks
    assert not any("★" in row[0] for row in blocks[0].rows)
