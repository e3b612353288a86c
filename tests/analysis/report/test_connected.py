"""The error on the line between two trainings, and its barrier."""

import pytest

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.connectivity import BATCHES
from tf_lottery.analysis.connectivity_file import Measured
from tf_lottery.analysis.forks import pairs
from tf_lottery.analysis.interpolation import POINTS
from tf_lottery.analysis.report.connected import connected, error_on_line
from tf_lottery.analysis.report.gather import gather

ARMS = ["ticket", "fork"]


def test_errors_are_means_over_pairs_by_round():
    found = error_on_line(made_up(arms=ARMS, barrier=3.0).connections)
    assert set(found) == {("fork", at) for at in (1, 2, 3, 4)}
    density, errors = found["fork", 4]
    assert density == pytest.approx(12 / 1024)
    assert errors == pytest.approx([5.0, 8.0, 5.0])  # barriers of 2.95, 3 and 3.05 points


def test_what_was_measured_is_drawn_and_in_a_table(tmp_path):
    findings = made_up(arms=ARMS)
    paths = on_disk(findings, tmp_path)
    keys = {record.key for record in findings.records}
    for pair in pairs(findings.study, findings.records):
        height = 1.0 + pair.second.replicate  # 1, 2 and 3 points
        line = [5.0] * 10 + [5.0 + height] + [5.0] * (POINTS - 11)
        measured = Measured(paths, POINTS, BATCHES)
        measured.keep(pair.first.key, pair.second.key, {"validation": line, "test": line}, keys)
    said, pair, table = connected(gather(paths)).blocks
    assert "less than 2 points" in said.text
    assert [picture.name for picture in pair.pictures] == ["line", "barrier"]
    assert table.rows[0] == ["fork of ticket", "1", "50.0%", "0it", "3", "2.00 (1.00 to 3.00)", "1 of 3"]
    assert len(table.rows) == 4


def test_without_measurements_there_is_no_section(tmp_path):
    paths = on_disk(made_up(arms=ARMS), tmp_path)
    assert connected(gather(paths)).blocks == []
    paths.connectivity.write_text('{"version": 1, "lines": [], "digest": "0"}')
    assert connected(gather(paths)).blocks == []
