"""The comparison of studies."""

import pytest

from tests.analysis.made_up import GOOD, made_up, on_disk
from tests.analysis.report.pages import Page, told
from tf_lottery.analysis.report.comparison import of_study, write_comparison
from tf_lottery.analysis.report.gather import gather
from tf_lottery.errors import LotteryError

ARMS = ["ticket", "random_reinit", "shuffled"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A study in which claims hold, one in which one fails, one that isn't finished."""
    root = tmp_path_factory.mktemp("compared")
    found = {
        "good": made_up(arms=ARMS),
        "bad": made_up(arms=ARMS[:2], test=GOOD | {"random_reinit": 2.0}),
        "half": made_up(arms=ARMS[:2], keep=lambda spec: spec.round < 4),
    }
    return {name: on_disk(findings, root / name) for name, findings in found.items()}


def compared(studies, output, *names):
    """The page that compares some of the studies."""
    materials = write_comparison({name: studies[name] for name in names}, output)
    assert list(materials) == list(names)
    return Page(output.read_text())


def test_claims_stand_side_by_side(studies, tmp_path):
    page = compared(studies, tmp_path / "both.html", "good", "bad")
    head, *rows = page.tables["Claims of papers"]
    assert head == ["claim", "good", "bad", "together"]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["The same mask is worse with weights drawn anew."] == [
        "✓ holds",
        "✗ fails",
        "not the same in all",
    ]
    shuffled = "A ticket beats its mask shuffled within layers: it is more than densities."
    assert cells[shuffled] == ["✓ holds", "- untested", "one study only"]
    assert not any(row[1:3] == ["- untested"] * 2 for row in rows)


def test_the_sparsest_matching_ticket_and_its_cost(studies, tmp_path):
    page = compared(studies, tmp_path / "both.html", "good", "half")
    (table,) = (rows for caption, rows in page.tables.items() if caption.startswith("The sparsest"))
    good, half = table[1:]
    # Round 4: four runs of 1,000 steps before it, and its own.
    assert good == ["good", "4", "12", "1.2%", "96.30%", "95.30%", "4,000", "1,000", "5.0", ""]
    assert half == ["half", *"----", "95.30%", *"---", "not finished"]
    assert told(page, "p", "half isn't finished: 6 runs left.")


def test_tickets_are_drawn_with_their_controls(studies, tmp_path):
    texts = compared(studies, tmp_path / "both.html", "good", "bad").texts["text"]
    assert {"good", "good, reinitialized", "bad", "bad, reinitialized", "100", "1.2"} <= set(texts)
    assert "test accuracy at early stop (%)" in texts


def test_on_other_data_each_is_compared_with_its_own_dense_network(studies):
    absolute, _ = of_study(gather(studies["good"]), True)
    relative, controls = of_study(gather(studies["good"]), False)
    assert [point.mean for point in absolute] == pytest.approx([95.3, 96.3, 96.3, 96.3, 96.3])
    assert [point.mean for point in relative] == pytest.approx([0.0, 1.0, 1.0, 1.0, 1.0])
    assert [point.mean for point in controls] == pytest.approx([0.0] * 5)


def test_a_damaged_run_is_told(studies, tmp_path):
    paths = on_disk(made_up(arms=ARMS), tmp_path / "damaged")
    key = gather(paths).records[-1].key
    paths.run(key).record.write_text("{}")
    page = compared(studies | {"damaged": paths}, tmp_path / "both.html", "good", "damaged")
    (notice,) = told(page, "p", "is damaged, and what it holds is left out")
    assert notice.startswith("damaged: 1 file")


@pytest.mark.parametrize(("names", "output"), [(["good"], "a.html"), (["good", "bad"], "a.png")])
def test_what_can_t_be_compared_is_one_line(studies, tmp_path, names, output):
    with pytest.raises(LotteryError, match=r"^Expected [^\n]+ Received: [^\n]+$"):
        compared(studies, tmp_path / output, *names)
    assert list(tmp_path.iterdir()) == []
