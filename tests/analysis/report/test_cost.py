"""The table of costs."""

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.report.cost import cost
from tf_lottery.analysis.report.gather import gather
from tf_lottery.method.spent import Spent


def test_own_and_search_by_round(tmp_path):
    findings = made_up(arms=["ticket", "random_reinit"])
    spent = Spent(
        steps=1000,
        examples=60_000,
        flops_dense=2 * 10**9,
        flops_remaining=10**9,
        seconds=2.5,
        seconds_total=3,
    )
    findings.records[:] = [record.model_copy(update={"spent": spent}) for record in findings.records]
    blocks = cost(gather(on_disk(findings, tmp_path))).blocks
    head, rows = blocks[1].head, blocks[1].rows
    assert head[4:] == (
        "own steps",
        "search steps",
        "own FLOPs",
        "search FLOPs",
        "own seconds",
        "search seconds",
    )
    assert rows[0] == ["ticket", "0", "100.0%", "-", "1,000", "0", "1 G", "0", "2.5", "0.0"]
    # The search for round 2 is the dense run and round 1.
    assert rows[2] == ["ticket", "2", "21.0%", "-", "1,000", "2,000", "1 G", "2 G", "2.5", "5.0"]
    assert blocks[0].text.startswith("All 27 runs: 27,000 steps")
    assert blocks[2].summary == "Cost of all other arms (4 rows)"
    assert [row[:2] for row in blocks[2].blocks[0].rows] == [
        ["random_reinit", str(at)] for at in (1, 2, 3, 4)
    ]


def test_what_is_not_known_is_a_dash(tmp_path):
    rows = cost(gather(on_disk(made_up(arms=["ticket"]), tmp_path))).blocks[1].rows
    assert rows[1][6:8] == ["-", "-"]
