"""The verdict of a report: what it claims, and what it doesn't."""

import pytest

from tests.analysis.made_up import GOOD, made_up, on_disk
from tf_lottery.analysis.claims import CLAIMS
from tf_lottery.analysis.report.blocks import Claims, Folded, Text
from tf_lottery.analysis.report.gather import gather
from tf_lottery.analysis.report.verdict import verdict

ARMS = ["ticket", "random_reinit", "shuffled"]


@pytest.fixture
def blocks(tmp_path):
    """The blocks of the verdict on made-up findings."""

    def of(**truth):
        return verdict(gather(on_disk(made_up(**{"arms": ARMS} | truth), tmp_path))).blocks

    return of


def texts(blocks, kind):
    """The texts of one kind."""
    return [block.text for block in blocks if isinstance(block, Text) and block.kind == kind]


def rows(blocks):
    """The rows of all tables of claims, those that are folded as well."""
    found = [block for block in blocks if isinstance(block, Claims)]
    found += [inner for block in blocks if isinstance(block, Folded) for inner in block.blocks]
    return {row.statement: row for table in found for row in table.rows}


WINNING = "There is a winning ticket: it matches, and no control that was trained is as good."


def test_a_winning_ticket_is_told_in_a_sentence_and_every_claim_once(blocks):
    found = blocks()
    assert texts(found, "lead")[0].startswith("There is a winning ticket: with 1.2% of its weights")
    assert texts(found, "notice") == []
    assert len(rows(found)) == len(CLAIMS)
    row = rows(found)["The same mask is worse with weights drawn anew."]
    assert (row.answer, row.sign, row.effect) == ("holds", "✓", "+1.00 points")
    # Student's t of three differences with a deviation of 0.05: 1 plus or minus 4.303 * 0.05 / sqrt(3).
    assert row.interval == "+0.88 to +1.12 (3 replicates)"
    assert row.source == "Frankle & Carbin 2018"


def test_where_the_sparsest_match_is_one_on_the_mean_only_the_other_ticket_is_explained(blocks):
    found = blocks(validation=GOOD | {("ticket", 4): 0.02})  # within 0.12 points of the dense network's
    assert texts(found, "lead")[0].startswith("There is a winning ticket: with 13.5% of its weights")
    (words,) = (text for text in texts(found, "plain") if "Sparsest matching ticket: round 4" in text)
    assert (
        "Round 4 (1.2%) matches on the mean; of the rounds with controls, round 3 (13.5%) is the sparsest"
        in words
    )
    assert not any("matches on the mean;" in text for text in texts(blocks(), "plain"))


def test_untested_claims_are_folded_with_what_would_test_them(blocks):
    (folded,) = (block for block in blocks() if isinstance(block, Folded))
    assert folded.summary.startswith("14 claims that this study doesn't test")
    assert {row.answer for row in folded.blocks[0].rows} == {"untested"}


def test_a_control_that_is_better_is_no_winning_ticket(blocks):
    found = blocks(test=GOOD | {"random_reinit": 2.0})
    assert texts(found, "lead")[0].startswith("No winning ticket was found")
    assert rows(found)[WINNING].sign == "✗"


def test_an_unfinished_study_claims_no_winning_ticket(blocks):
    found = blocks(keep=lambda spec: spec.round < 4)  # the runs that are there would make one
    assert texts(found, "lead") == [
        "This study isn't finished, so it claims nothing about a winning ticket yet."
    ]
    (notice,) = texts(found, "notice")
    assert notice.startswith("30 runs are finished, 9 runs left.")
    assert rows(found)[WINNING].answer == "untested"
    assert texts(found, "plain")[0].startswith("So far: ")


def test_one_replicate_decides_nothing(blocks):
    found = blocks(replicates=1)
    assert texts(found, "lead")[0].startswith("Nothing is decided")
    assert any("One replicate: no claim can be decided." in text for text in texts(found, "notice"))
    assert {row.answer for row in rows(found).values()} == {"undecided", "untested"}
    assert rows(found)["The same mask is worse with weights drawn anew."].interval == "none (1 replicate)"


def test_without_controls_it_isn_t_tested(blocks):
    assert texts(blocks(arms=["ticket"]), "lead")[0].startswith("This study doesn't test whether")


def test_nothing_finished_says_nothing(blocks):
    assert texts(blocks(keep=lambda spec: False), "lead") == [
        "No run of this study is finished yet, so it says nothing yet."
    ]
