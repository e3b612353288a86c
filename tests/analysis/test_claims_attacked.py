"""Claims and comparisons at equal cost on studies that are torn, doubled and incomplete."""

import math
import random
import re

import pytest

from tests.analysis.made_up import ARMS, GOOD, made_up, noise, remaining, results
from tests.analysis.test_claims import NEEDS, OF_ARMS
from tests.analysis.test_matched import priced
from tests.fakes import all_at_once, fake_record, fake_spec, fake_study
from tf_lottery.analysis.claim import FAILS, HOLDS, UNDECIDED, UNTESTED
from tf_lottery.analysis.claims import CLAIMS, judge
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.matched import HIGHER, LOWER, at_equal_cost
from tf_lottery.analysis.matched_words import matched_lines
from tf_lottery.analysis.words import claim_lines


def doubled(truth, arms, **settings):
    """The findings of a study with arms of its own."""
    study = fake_study(pruning={"rounds": 4}, arms=arms, replicates=3, **settings)
    records = all_at_once(study, remaining)
    records = [r.model_copy(update=results(r.spec, test=truth, validation=truth)) for r in records]
    return Findings(study, records)


def torn(findings, seed):
    """The same findings without some of the records, more or fewer."""
    draw = random.Random(seed)
    share = draw.choice((0.2, 0.5, 0.8, 0.95))
    kept = [record for record in findings.records if draw.random() < share]
    return Findings(findings.study, kept, findings.connections)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_is_missing_nothing_that_is_true_is_said_to_fail(seed):
    """Every claim holds in the whole study. What is left may be too little to say so."""
    findings = torn(priced(made_up()), seed)
    told = judge(findings)
    assert len(claim_lines(told, untested=True)) == len(CLAIMS)
    assert {each.answer.answer for each in told} <= {HOLDS, UNDECIDED, UNTESTED}
    compared = at_equal_cost(findings)
    matched_lines(compared, findings.study)
    for ticket in compared:
        for offer in ticket.offers:
            better = offer.arm in ("late",)
            assert offer.answer != (LOWER if better else HIGHER), offer
            assert offer.cost.steps <= ticket.cost.steps or "steps" not in offer.within


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm != "ticket"])
def test_an_arm_that_is_still_to_be_trained_is_as_one_that_is_missing(arm):
    whole, pending = judge(made_up()), judge(made_up(keep=lambda spec: spec.arm != arm))
    gone = {arm, *(name for name, settings in ARMS.items() if settings.get("on") == arm)}
    for old, new in zip(whole, pending, strict=True):
        needed = NEEDS.get(old.name)
        if needed == arm or (old.name, arm) == ("pruning_at_init_is_indifferent", "snip"):
            assert new.answer.answer == UNTESTED, old.name
        elif old.name == "winning_ticket":
            assert new.answer.answer == old.answer.answer
            assert arm not in re.findall(r"\w+", new.answer.why)
        elif needed not in gone:
            assert new == old


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm != "ticket"])
def test_without_an_arm_what_others_offer_stays(arm):
    whole = at_equal_cost(priced(made_up()))
    gone = {arm, *(name for name, settings in ARMS.items() if settings.get("on") == arm)}
    left = at_equal_cost(priced(made_up(arms=[name for name in ARMS if name not in gone])))
    for old, new in zip(whole, left, strict=True):
        assert [offer for offer in old.offers if offer.arm not in gone] == list(new.offers)


TWO = {
    "reinitialized_is_worse": ("random_reinit", {}),
    "more_than_its_layers": ("shuffled", {}),
    "beats_rigl": ("rigl", {"updates": {"fraction": 0.5}}),
    "beats_set": ("set", {"updates": {"fraction": 0.5}}),
    "beats_random_sparsity": ("static", {"pruning": {"scope": "layer"}}),
}


@pytest.mark.parametrize("claim", TWO)
@pytest.mark.parametrize("stronger", ["one", "two"])
@pytest.mark.parametrize(("points", "answer"), [(0.2, HOLDS), (1.0, UNDECIDED), (2.0, FAILS)])
def test_of_two_arms_of_one_kind_the_ticket_has_to_beat_both(claim, stronger, points, answer):
    kind, settings = TWO[claim]
    arms = {"ticket": {}, "one": {"like": kind}, "two": {"like": kind} | settings}
    findings = doubled({"ticket": 1.0, stronger: points}, arms)
    told = CLAIMS[claim](findings)
    assert told.answer == answer
    assert told.where["arm"] == stronger
    assert told.why.endswith("Of 2 such comparisons this one stands most against it.")
    if kind in ("random_reinit", "shuffled", "static"):
        winning = CLAIMS["winning_ticket"](findings)
        assert winning.answer == answer
        named = {"one", "two"} if answer == HOLDS else {stronger}
        assert {"one", "two"} & set(re.findall(r"\w+", winning.why)) == named


def test_of_two_random_prunings_the_ticket_has_to_beat_both():
    drawn = {"like": "ticket", "pruning": {"criterion": "random"}}
    arms = {"ticket": {}, "one": drawn, "two": drawn | {"pruning": {"criterion": "random", "examples": 10}}}
    findings = doubled({"ticket": 1.0, "two": 2.0}, arms)
    assert CLAIMS["beats_random_pruning"](findings).answer == FAILS
    assert CLAIMS["winning_ticket"](findings).answer == FAILS


def test_of_two_prunings_at_initialization_both_have_to_gain_nothing():
    arms = {"ticket": {}}
    for criterion, name in {"snip": "snip_shuffled", "grasp": "kept"}.items():  # these have no noise
        arms[criterion] = {"like": "at_init", "pruning": {"criterion": criterion}}
        arms[name] = {"like": "shuffled", "on": criterion}
    claim = CLAIMS["pruning_at_init_is_indifferent"]
    assert claim(doubled({"ticket": 1.0}, arms)).answer == HOLDS
    told = claim(doubled({"ticket": 1.0, "grasp": 2.0}, arms))
    assert (told.answer, told.where["arm"]) == (FAILS, "grasp")


def test_an_arm_of_two_that_has_no_round_in_common_hides_the_other_not():
    arms = {"ticket": {}, "one": {"like": "random_reinit"}, "two": {"like": "random_reinit"}}
    made = doubled({"ticket": 1.0}, arms)
    for lacking, left in (("one", "two"), ("two", "one")):
        records = [
            r for r in made.records if r.spec.arm != lacking or (r.spec.round, r.spec.replicate) == (1, 0)
        ]
        told = CLAIMS["reinitialized_is_worse"](Findings(made.study, records))
        assert told.where["arm"] in (lacking, left)
        assert told.answer == (UNDECIDED if told.where["arm"] == lacking else HOLDS)


def test_a_run_is_not_compared_with_itself():
    """One pruning of the dense network is the ticket's first round: both arms have the same run there."""
    arms = {"ticket": {}, "one_shot": {"rounds": [1]}}
    study = fake_study(pruning={"rounds": 4}, arms=arms, replicates=5)
    findings = Findings(study, all_at_once(study, remaining))
    by_arm = {(r.spec.arm, r.spec.replicate, r.spec.round): r.key for r in findings.records}
    assert by_arm["ticket", 0, 1] == by_arm["one_shot", 0, 1]
    told = CLAIMS["iterative_beats_one_shot"](findings)
    assert told.answer == UNTESTED
    assert told.why.startswith("ticket and one_shot have no round of one replicate in common")
    (ticket,) = at_equal_cost(Findings(study, [r for r in findings.records if r.spec.round < 2]))
    assert [offer.arm for offer in ticket.offers] == ["dense network"]
    assert ticket.nothing == {"one_shot": "the same runs as the ticket's"}
    more = doubled({"ticket": 1.0}, {"ticket": {}, "one_shot": {"rounds": [1, 2]}})
    assert CLAIMS["iterative_beats_one_shot"](more).where["round"] == 2


def test_controls_at_rounds_of_their_own_say_what_they_say_but_make_no_winning_ticket():
    arms = {"ticket": {}, "random_reinit": {"rounds": [1]}, "shuffled": {"rounds": [3]}}
    findings = doubled({"ticket": 1.0}, arms)
    assert CLAIMS["reinitialized_is_worse"](findings).where["round"] == 1
    assert CLAIMS["more_than_its_layers"](findings).where["round"] == 3
    winning = CLAIMS["winning_ticket"](findings)
    assert (winning.answer, winning.why) == (
        UNTESTED,
        "random_reinit, shuffled have no round in common at which the ticket may match. Give them the same "
        "rounds.",
    )


@pytest.mark.parametrize("claim", OF_ARMS)
def test_a_replicate_that_one_arm_lacks_is_left_out_of_its_pairs_alone(claim):
    """The ticket is far better in the replicate that is missing, and a bit worse in the others."""
    arm = OF_ARMS[claim]
    made = made_up(arms=["ticket", "random_reinit", arm], test=GOOD | {arm: 1.5})
    records = [
        r.model_copy(update={"early_stop_test_accuracy": 0.99})
        if (r.spec.arm, r.spec.replicate) == ("ticket", 2) and r.spec.round
        else r
        for r in made.records
        if (r.spec.arm, r.spec.replicate) != (arm, 2)
    ]
    effect = CLAIMS[claim](Findings(made.study, records)).effect
    assert (effect.count, effect.mean) == (2, pytest.approx(-0.5 + 0.025))


def test_a_diverged_run_has_no_record_that_claims_could_read():
    """Training ends with an error, and a record doesn't take what is no number."""
    for name in ("early_stop_test_accuracy", "early_stop_validation_accuracy", "best_validation_loss"):
        with pytest.raises(ValueError, match="finite number"):
            fake_record(
                fake_spec(),
                **{name: math.nan} if name != "early_stop_validation_accuracy" else {"validation": math.nan},
            )


def test_a_cheaper_search_is_an_offer_of_its_own_and_the_ticket_is_that_of_final():
    arms = {"ticket": {}, "final": {"rounds": [2, 4]}, "rigl": {}}
    found = at_equal_cost(doubled({"final": 1.0}, arms, search={"steps": "10it"}))
    assert [(ticket.arm, ticket.round) for ticket in found] == [("final", 2), ("final", 4)]
    assert [offer.arm for offer in found[1].offers] == ["dense network", "ticket", "rigl"]
    shared = at_equal_cost(doubled({"final": 1.0}, arms, search={"steps": "10it", "data": 0.5}))
    assert shared[1].nothing == {"ticket": "on other data, or another network"}


def test_made_up_noise_is_the_same_each_time_and_another_for_each_run():
    specs = [fake_spec(replicate=replicate) for replicate in range(20)]
    found = [noise(arm, spec) for arm in ("ticket", "rigl") for spec in specs]
    assert len(set(found)) == 40
    assert found == [noise(arm, spec) for arm in ("ticket", "rigl") for spec in specs]
