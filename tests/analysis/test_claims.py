"""Every claim on made-up studies in which it is known whether it holds."""

import functools
import inspect
import re

import pytest

from tests.analysis.made_up import ARMS, answers, compared, made_up, validated
from tf_lottery.analysis.claims import CLAIMS, CONTROLS, NOT_LEARNED, combined, judge
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.words import claim_lines

HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "fails", "undecided", "untested"

OF_ARMS = {
    "reinitialized_is_worse": "random_reinit",
    "iterative_beats_one_shot": "one_shot",
    "more_than_its_layers": "shuffled",
    "large_weights_matter": "inverted",
    "beats_random_pruning": "drawn",
    "beats_smart_ratios": "smart_ratio",
    "beats_random_sparsity": "static",
    "beats_set": "set",
    "beats_rigl": "rigl",
    "beats_dense_longer": "dense_longer",
    "beats_small_dense": "small_dense",
}
"""Claim -> the arm that the ticket is to beat."""
NEEDS = OF_ARMS | {
    "late_rewinding_helps": "late",
    "learning_rate_rewinding_is_as_good": "lr_rewound",
    "pruning_at_init_is_indifferent": "snip_shuffled",
    "signs_are_enough": "keep_signs",
    "stable_to_noise": "fork",
}
"""Claim -> the arm that it takes besides the ticket."""

IN_FAVOUR = {claim: {} for claim in CLAIMS}
AGAINST = {
    **{claim: compared(arm, 2.0) for claim, arm in OF_ARMS.items()},
    "winning_ticket": compared("random_reinit", 2.0),
    "matching_ticket": validated(-1.0),
    "at_10_to_20_percent": validated(-1.0, 3),
    "at_1_percent": validated(-1.0, 4),
    "learns_faster": {"steps": 200},
    "learns_faster_in_seconds": {"steps": 200},
    "generalizes_better": compared("ticket", 0.0),
    "late_rewinding_helps": compared("late", 0.0),
    "learning_rate_rewinding_is_as_good": compared("lr_rewound", 0.0),
    "pruning_at_init_is_indifferent": compared("snip", 1.0),
    "signs_are_enough": compared("keep_signs", 0.0),
    "stable_to_noise": {"barrier": 3.0},
}
OPEN = {
    **{claim: compared(arm, 1.0) for claim, arm in OF_ARMS.items()},
    "winning_ticket": compared("random_reinit", 1.0),
    "matching_ticket": validated(0.0),
    "at_10_to_20_percent": validated(0.0, 3),
    "at_1_percent": validated(0.0, 4),
    "learns_faster": {"steps": 0},
    "learns_faster_in_seconds": {"steps": 0},
    "generalizes_better": compared("ticket", 0.3),
    "late_rewinding_helps": compared("late", 1.0),
    "learning_rate_rewinding_is_as_good": compared("lr_rewound", 0.5),
    "pruning_at_init_is_indifferent": compared("snip", 0.5),
    "signs_are_enough": compared("keep_signs", 0.5),
    "stable_to_noise": {"barrier": 2.0},
}
LACKING = {
    **{claim: {"arms": [arm for arm in ARMS if arm != need]} for claim, need in NEEDS.items()},
    "winning_ticket": {"arms": ["ticket", "inverted", "set"]},
    "matching_ticket": {"keep": lambda spec: spec.round == 0},
    "at_10_to_20_percent": {"keep": lambda spec: spec.round < 3},
    "at_1_percent": {"keep": lambda spec: spec.round < 4},
    "learns_faster": {"keep": lambda spec: spec.round < 2},
    "learns_faster_in_seconds": {"keep": lambda spec: spec.round < 2},
    "generalizes_better": {"keep": lambda spec: spec.round < 2},
}


@pytest.mark.parametrize(
    ("answer", "cases"),
    [(HOLDS, IN_FAVOUR), (FAILS, AGAINST), (UNDECIDED, OPEN), (UNTESTED, LACKING)],
    ids=[HOLDS, FAILS, UNDECIDED, UNTESTED],
)
@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_has_the_answer_that_is_known(claim, answer, cases):
    arms = ["ticket", "random_reinit", "snip", NEEDS.get(claim)]
    assert answers(**{"arms": [arm for arm in ARMS if arm in arms]} | cases[claim])[claim] == answer


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_untested_claim_says_what_would_test_it(claim):
    why = CLAIMS[claim](made_up(**LACKING[claim])).why
    assert re.search(
        r"Add arms: \{(ticket|snip): \{|pruning: \{rounds: \d+\}|engine: auto|Prune at least once", why
    )


@pytest.mark.parametrize("count", [3, 10])
def test_what_isn_t_the_same_in_all_replicates_is_told_with_its_interval(count):
    answer = CLAIMS["reinitialized_is_worse"](made_up(replicates=count))
    assert answer.effect.count == count
    assert answer.effect.method == ("t" if count == 3 else "bootstrap")
    assert 0.8 < answer.effect.low < 1 < answer.effect.high < 1.2
    assert answer.where == {"round": 4, "arm": "random_reinit"}
    assert answer.describe().startswith("+1.0")
    assert f"{count} replicates, 95%)" in answer.describe()


def test_the_interval_is_the_one_by_hand():
    """Differences of 0.95, 1 and 1.05 points: the deviation is 0.05, t is 4.3027."""
    effect = CLAIMS["reinitialized_is_worse"](made_up()).effect
    assert effect.mean == pytest.approx(1.0)
    assert effect.high - effect.mean == pytest.approx(4.302652729911275 * 0.05 / 3**0.5)


@pytest.mark.parametrize("truth", [{}, *AGAINST.values()], ids=["good", *AGAINST])
def test_one_replicate_decides_nothing(truth):
    assert set(answers(replicates=1, **truth).values()) == {UNDECIDED}


def test_one_replicate_has_no_interval():
    described = CLAIMS["generalizes_better"](made_up(replicates=1)).describe()
    assert described == "+1.05 points (1 replicate: no interval)"


@pytest.mark.parametrize("replicates", [5, 10])
def test_ties_are_as_good_and_not_better(replicates):
    """Every arm gives the same in every replicate, to the last bit."""
    found = answers(replicates=replicates, test={}, validation={}, steps=0, spread=0.0, tolerance=0.0)
    as_good = {"matching_ticket", "at_10_to_20_percent", "at_1_percent"}
    as_good |= {"learning_rate_rewinding_is_as_good", "pruning_at_init_is_indifferent"}
    as_good |= {"signs_are_enough", "stable_to_noise"}  # of which there are no ties
    faster = {"learns_faster", "learns_faster_in_seconds"}  # whose dense networks stop at other steps
    assert {claim for claim, answer in found.items() if answer == HOLDS} == as_good
    assert {claim for claim, answer in found.items() if answer == FAILS} == {*CLAIMS} - as_good - faster


def test_ties_of_few_replicates_decide_nothing():
    found = answers(replicates=3, test={}, validation={}, spread=0.0)
    assert {found[claim] for claim in NEEDS} == {UNDECIDED}
    assert found["matching_ticket"] == found["winning_ticket"] == UNDECIDED


@functools.cache
def with_all_arms(points):
    return judge(made_up(**compared("ticket", points)))


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm != "ticket"])
@pytest.mark.parametrize("points", [1.0, 0.0])
def test_without_an_arm_what_needs_it_is_untested_and_nothing_else_changes(arm, points):
    """There is a winning ticket or not as before, but the arm isn't named any more."""
    gone = {arm, *(name for name, settings in ARMS.items() if settings.get("on") == arm)}
    left = [name for name in ARMS if name not in gone]
    without = judge(made_up(arms=left, **compared("ticket", points)))
    for old, new in zip(with_all_arms(points), without, strict=True):
        if NEEDS.get(old.name) in gone:
            assert new.answer.answer == UNTESTED
        elif old.name == "winning_ticket":
            assert new.answer.answer == old.answer.answer
            assert not gone & set(re.findall(r"\w+", new.answer.why))
        else:
            assert new == old


@pytest.mark.parametrize("control", CONTROLS)
def test_there_is_no_winning_ticket_if_a_control_is_as_good(control):
    arm = OF_ARMS[control]
    assert answers(**compared(arm, 2.0))["winning_ticket"] == FAILS
    assert answers(**compared(arm, 1.0))["winning_ticket"] == UNDECIDED
    assert answers(arms=["ticket", arm], **compared(arm, 2.0))["winning_ticket"] == FAILS
    assert answers(arms=["ticket", arm])["winning_ticket"] == HOLDS
    left = [name for name in ARMS if name != arm]
    assert answers(arms=left, **compared(arm, 2.0))["winning_ticket"] == HOLDS
    assert f"that it beats {arm}" in CLAIMS["winning_ticket"](made_up(**compared(arm, 2.0))).why


def test_what_is_no_control_doesn_t_make_a_ticket_lose():
    for arm in ("dense_longer", "rigl", "late"):
        assert answers(**compared(arm, 3.0))["winning_ticket"] == HOLDS


def test_a_tolerance_counts_for_matching():
    truth = validated(-0.5)
    assert answers(**truth)["matching_ticket"] == FAILS
    assert answers(tolerance=0.01, **truth)["matching_ticket"] == HOLDS
    assert "(-1 or more matches);" in CLAIMS["matching_ticket"](made_up(tolerance=0.01, **truth)).why


def test_a_ticket_doesn_t_match_if_a_denser_one_doesn_t_and_that_one_is_told():
    """As the matching rule has it; the effect is that of the round that stands against it."""
    answer = CLAIMS["at_1_percent"](made_up(**validated(-1.0, 2)))
    assert (answer.answer, answer.where["round"]) == (FAILS, 2)
    assert answer.effect.high < 0
    answer = CLAIMS["at_1_percent"](made_up(**validated(-0.01, 2)))
    assert (answer.answer, answer.where["round"]) == (UNDECIDED, 2)
    assert answer.effect.low < 0 < answer.effect.high
    assert CLAIMS["matching_ticket"](made_up(**validated(-0.01, 2))).where["round"] == 1


def test_denser_rounds_have_to_match_on_the_mean_only():
    assert CLAIMS["at_1_percent"](made_up(**validated(0.0, 2))).answer == HOLDS


@pytest.mark.parametrize("arm", ["ticket", "random_reinit"])
@pytest.mark.parametrize("lacking", [(4,), (3, 4), (2, 3, 4)])
def test_a_study_of_which_one_replicate_lacks_rounds_still_says_what_is_true(arm, lacking):
    found = judge(
        made_up(keep=lambda s: s.replicate != 2 or s.arm != arm or s.round not in lacking, spread=0.02)
    )
    assert {told.answer.answer for told in found} == {HOLDS}
    wrong = answers(
        keep=lambda s: s.replicate != 2 or s.arm != arm or s.round not in lacking,
        **compared("random_reinit", 2.0),
    )
    assert wrong["reinitialized_is_worse"] == wrong["winning_ticket"] == FAILS


def test_nothing_trained_is_untested():
    assert set(answers(keep=lambda spec: False).values()) == {UNTESTED}
    assert answers(keep=lambda spec: spec.round == 0)["winning_ticket"] == UNTESTED


def test_seconds_are_of_tickets_that_the_sparse_engine_trained():
    findings = made_up()
    records = [
        r.model_copy(update={"resolved": {"engine": "dense"}}) if r.spec.round == 2 else r
        for r in findings.records
    ]
    assert CLAIMS["learns_faster_in_seconds"](Findings(findings.study, records)).answer == UNTESTED


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_has_a_statement_and_a_source_in_its_first_line(claim):
    assert re.fullmatch(r"[A-Z].+ \([^()]+\)\.", inspect.getdoc(CLAIMS[claim]).splitlines()[0])
    (told,) = [told for told in judge(made_up()) if told.name == claim]
    assert re.fullmatch(r"[A-Z][^()]+\.", told.statement)
    assert re.search(r"20\d\d|this library|cost-matched", told.source)


def test_claims_need_the_arms_that_are_said():
    assert {*NEEDS, *LACKING} == {*CLAIMS}
    assert {*CONTROLS} <= {*OF_ARMS}


def test_several_studies_together_say_which_claims_hold_in_each_of_them():
    judged = {
        "one": judge(made_up()),
        "two": judge(made_up(arms=["ticket", "random_reinit"])),
        "three": judge(made_up(arms=["ticket", "set"], **compared("ticket", 0.0))),
    }
    lines = combined(judged)
    assert "matching_ticket, 3 of 3 studies: holds (one: holds; two: holds; three: holds)" in lines
    assert "reinitialized_is_worse, 2 of 3 studies: holds (one: holds; two: holds)" in lines
    assert (
        "generalizes_better, 3 of 3 studies: not the same in all (one: holds; two: holds; three: fails)"
        in lines
    )
    assert "beats_set, 2 of 3 studies: not the same in all (one: holds; three: undecided)" in lines
    assert not combined({"three": judge(made_up(keep=lambda spec: False))})


def test_an_undecided_density_tells_of_itself_and_not_of_a_denser_round_that_is_undecided_too():
    """Rounds 1 and 4 lie 0.05 points below the dense network, at it, and 0.05 above it."""
    truth = {"ticket": 1.0, ("ticket", 1): 0.0, ("ticket", 4): 0.0}
    answer = CLAIMS["at_1_percent"](made_up(validation=truth))
    assert answer.answer == UNDECIDED
    assert answer.where["round"] == 4


def test_a_ticket_that_beats_a_dense_network_that_did_not_learn_wins_nothing():
    """Of three dense networks one has its lowest validation loss before the first step."""
    made = made_up()
    records = [
        record.model_copy(update={"early_stop_iteration": 0})
        if (record.spec.arm, record.spec.round, record.spec.replicate) == ("ticket", 0, 1)
        else record
        for record in made.records
    ]
    judged = judge(Findings(made.study, records, made.connections))
    assert claim_lines(judged)[0] == NOT_LEARNED
    told = {each.name: each.answer for each in judged}
    of_dense = {"winning_ticket", "matching_ticket", "at_10_to_20_percent", "at_1_percent", "learns_faster"}
    of_dense |= {"learns_faster_in_seconds", "generalizes_better"}
    assert {name for name, each in told.items() if each.answer == UNTESTED} == of_dense
    assert {told[name].why for name in of_dense} == {NOT_LEARNED}
    assert told["reinitialized_is_worse"].answer == HOLDS
