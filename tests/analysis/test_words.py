from tests.analysis.made_up import ARMS, GOOD, made_up
from tf_lottery.analysis.claims import CLAIMS, judge
from tf_lottery.analysis.verdict import verdict
from tf_lottery.analysis.words import ONE_REPLICATE, claim_lines, closing_lines

FEW = ["ticket", "random_reinit", "set", "one_shot"]


def lines(untested=False, **truth):
    return claim_lines(judge(made_up(arms=FEW, **truth)), untested)


def test_a_line_has_the_answer_the_statement_the_effect_and_what_was_compared():
    assert (
        "holds      The same mask is worse with weights drawn anew. +1.00 points (0.88 to 1.12, 3 replicates"
        ", 95%). Test accuracy of ticket less that of random_reinit at round 4 (1.2%)."
    ) in lines()
    assert any("+1.00 points" not in line and "-200 steps (-225 to -175," in line for line in lines())


def test_what_holds_comes_first_and_what_is_untested_last():
    found = lines(test=GOOD | {"set": 2.0, "one_shot": 1.0})
    answers = [line.split()[0] for line in found]
    assert answers == sorted(answers, key=["holds", "fails", "undecided", "untested"].index)
    assert [answer for answer in ("holds", "fails", "undecided") if answers.count(answer)] == [
        "holds",
        "fails",
        "undecided",
    ]


def test_untested_claims_are_counted_or_told():
    short, long = lines(), lines(untested=True)
    assert (
        short[-1] == "untested   13 more claims; `tf-lottery verdict STUDY --all` says what would test each."
    )
    assert len(long) == len(CLAIMS)
    assert sum(line.startswith("untested") for line in long) == 13
    assert any(line.endswith("Add arms: {ticket: {}, shuffled: {}}.") for line in long)
    but_one = claim_lines(judge(made_up(arms=[arm for arm in ARMS if arm != "rigl"])))
    assert but_one[-1].startswith("untested   1 more claim;")
    assert not any(line.startswith("untested") for line in claim_lines(judge(made_up())))


def test_an_effect_without_an_interval_is_told_so():
    assert any("+1.05 points (1 replicate: no interval)." in line for line in lines(replicates=1))


def test_a_run_ends_with_the_claims():
    findings = made_up(arms=FEW)
    assert closing_lines(findings) == lines()


def test_a_run_of_one_replicate_ends_with_one_line_unless_its_verdict_said_so():
    findings = made_up(arms=FEW, replicates=1)
    said = verdict(findings.records, 0.0)
    assert said[-1].startswith("One replicate")
    assert closing_lines(findings, said) == []
    none = made_up(arms=FEW, replicates=1, validation={"ticket": -1.0})
    assert closing_lines(none, verdict(none.records, 0.0)) == [ONE_REPLICATE]


def test_a_run_without_a_ticket_says_nothing_of_claims():
    for replicates in (1, 3):
        dense = made_up(replicates=replicates, keep=lambda spec: spec.round == 0)
        assert closing_lines(dense) == closing_lines(made_up(replicates, keep=lambda spec: False)) == []
