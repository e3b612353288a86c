"""Comparisons at equal cost, on made-up studies whose costs are added by hand.

Each training takes 100 steps, and 10 FLOPs for each weight that remains: of 1,024, 512, 215, 138 and 12. So
the tickets of rounds 2 and 4 cost 300 and 500 steps, 17,510 and 19,010 FLOPs; the dense network's training
100 and 10,240.
"""

import pytest

from tests.analysis.made_up import GOOD, made_up, validated
from tf_lottery.analysis.amounts import UNKNOWN
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.matched import DENSE_NETWORK, at_equal_cost, rounds_to_match, rows
from tf_lottery.analysis.matched_words import matched_lines
from tf_lottery.method.spent import Spent

ARMS = ["ticket", "dense_longer", "rigl", "small_dense", "random_reinit"]
HALF = 4.302652729911275 * 0.05 / 3**0.5
"""Half of the interval of three differences that deviate by 0.05."""


def spent(steps, flops):
    return Spent(steps=steps, flops_dense=10_240, flops_remaining=flops, seconds=1, seconds_total=1)


def priced(findings, weights=lambda spec, remaining: remaining, cost=lambda spec, flops: spent(100, flops)):
    """Made-up findings with costs. `dense_longer` prunes nothing."""
    records = []
    for record in findings.records:
        spec, remaining = record.spec, record.weights_remaining
        remaining = weights(spec, 1024 if spec.arm == "dense_longer" else remaining)
        update = {"weights_remaining": remaining, "spent": cost(spec, 10 * remaining)}
        records.append(record.model_copy(update=update))
    return Findings(findings.study, records, findings.connections, findings.estimate)


def compared(weights=lambda spec, remaining: remaining, cost=lambda spec, flops: spent(100, flops), **truth):
    """Round -> the ticket's comparison there."""
    return {
        each.round: each for each in at_equal_cost(priced(made_up(**{"arms": ARMS} | truth), weights, cost))
    }


def offers(found):
    return {(offer.arm, *offer.within): offer for offer in found.offers}


def test_tickets_are_the_sparsest_that_matches_and_those_near_the_densities_that_are_named():
    assert rounds_to_match(made_up(arms=ARMS)) == [2, 4]
    assert rounds_to_match(made_up(arms=ARMS, **validated(-1.0, 4))) == [2, 3, 4]
    assert rounds_to_match(made_up(arms=ARMS, validation={"ticket": -1.0})) == [2, 4]
    assert rounds_to_match(made_up(arms=ARMS, keep=lambda spec: spec.round < 2)) == [1]
    assert rounds_to_match(made_up(arms=ARMS, keep=lambda spec: spec.round < 1)) == []
    assert rounds_to_match(made_up(arms=ARMS, keep=lambda spec: False)) == []


def test_what_a_ticket_cost_is_the_sum_of_its_rounds():
    found = compared()
    assert [(f.cost.steps, f.cost.flops_remaining) for f in found.values()] == [(300, 17_510), (500, 19_010)]
    assert [(f.times_steps, f.times_flops) for f in found.values()] == [
        (3.0, pytest.approx(17_510 / 10_240)),
        (5.0, pytest.approx(19_010 / 10_240)),
    ]
    assert found[4].test_accuracy == pytest.approx(95.0 + 0.3 + 1.0)
    assert (found[4].density, found[4].replicates) == (12 / 1024, 3)


def test_arms_offer_what_costs_no_more():
    found = compared()[4]
    assert {key: offer.round for key, offer in offers(found).items()} == {
        (DENSE_NETWORK, "steps", "flops"): 0,
        ("dense_longer", "steps"): 1,  # of equal ones the cheapest; two dense trainings take 20,480 FLOPs
        ("rigl", "steps", "flops"): 4,
        ("small_dense", "steps", "flops"): 4,
        ("random_reinit", "steps", "flops"): 4,
    }
    assert found.nothing == {}
    rigl = offers(found)["rigl", "steps", "flops"]
    assert (rigl.cost.steps, rigl.cost.flops_remaining) == (100, 120)
    assert (rigl.times_steps, rigl.times_flops) == (1.0, pytest.approx(120 / 10_240))


def test_validation_chooses_what_an_arm_offers_and_test_accuracy_does_not():
    better = {
        "validation": GOOD | {("dense_longer", 1): 0.2, ("dense_longer", 2): 0.5, ("dense_longer", 3): 0.4}
    }
    for test in (GOOD, GOOD | {("dense_longer", 1): 9.0}, GOOD | {("dense_longer", 2): -9.0}):
        found = compared(**better, test=test)
        assert [offers(each)["dense_longer", "steps"].round for each in found.values()] == [2, 2]
    later = {"validation": GOOD | {("dense_longer", 3): 0.5}}
    assert offers(compared(**later)[2])["dense_longer", "steps"].round == 1, "round 3 costs 400 steps"
    assert offers(compared(**later)[4])["dense_longer", "steps"].round == 3


def test_steps_and_flops_may_buy_different_rounds():
    """The ticket of round 4 takes the FLOPs of five dense trainings less one, which buys four."""

    def cost(spec, flops):
        return spent(100, 10_240 - ((spec.arm, spec.round) == ("ticket", 4)))

    found = compared(cost=cost, validation=GOOD | {("dense_longer", 4): 0.5, ("dense_longer", 3): 0.2})
    assert offers(found[4])["dense_longer", "steps"].round == 4
    assert offers(found[4])["dense_longer", "flops"].round == 3


def test_effects_are_paired_and_those_by_hand():
    """The ticket has no noise of its own, others deviate by 0.05 points; the ticket is one point better."""
    effect = offers(compared()[2])["rigl", "steps", "flops"]
    assert effect.effect.mean == pytest.approx(-1.0)
    assert effect.effect.high == pytest.approx(-1.0 + HALF)
    assert (effect.answer, effect.test_accuracy) == ("lower", pytest.approx(95.3))
    assert effect.validation == pytest.approx(-1.0)
    found = compared(test=GOOD | {"rigl": 2.0, "dense_longer": 1.0})[2]
    assert offers(found)["rigl", "steps", "flops"].answer == "higher"
    assert offers(found)["dense_longer", "steps"].answer == "undecided"


def test_ties_are_equal_if_there_are_enough_and_one_replicate_decides_nothing():
    ties = {"test": {}, "validation": {}, "spread": 0.0}
    assert {o.answer for o in compared(replicates=5, **ties)[2].offers if o.arm != DENSE_NETWORK} == {"equal"}
    assert {o.answer for o in compared(**ties)[2].offers if o.arm != DENSE_NETWORK} == {"undecided"}
    assert {o.answer for o in compared(replicates=1)[2].offers} == {"undecided"}


def test_a_sparse_arm_has_no_more_weights():
    """Its rounds are one step denser than the ticket's; a few weights more are those of rounding."""
    denser = {512: 1000, 215: 512, 138: 215, 12: 138}
    found = compared(weights=lambda spec, n: denser.get(n, n) if spec.arm == "rigl" else n)
    assert offers(found[2])["rigl", "steps", "flops"].round == 4
    assert found[4].nothing == {"rigl": "none has as few weights"}
    few = compared(
        weights=lambda spec, n: n + 3 if (spec.arm, spec.round) == ("rigl", 2) else n,
        validation=GOOD | {("rigl", 2): 0.1},
    )
    assert offers(few[2])["rigl", "steps", "flops"].round == 2


def test_a_narrower_network_of_the_same_round_has_as_nearly_as_possible_as_many_weights():
    found = compared(weights=lambda spec, n: n + 20 if spec.arm == "small_dense" and spec.round else n)
    assert offers(found[4])["small_dense", "steps", "flops"].round == 4
    assert offers(found[4])["small_dense", "steps", "flops"].weights == 32


def test_controls_that_take_the_whole_search_cost_as_much():
    control = offers(compared()[4])["random_reinit", "steps", "flops"]
    assert (control.cost.steps, control.cost.flops_remaining, control.times_steps) == (500, 19_010, 5.0)


def test_flops_that_are_not_known_are_never_nothing():
    """Of a study of before, whose records know none, and of one arm whose layers can't be counted."""
    found = compared(cost=lambda spec, flops: None)[4]
    assert (found.cost.steps, found.cost.flops_remaining, found.times_flops) == (5000, None, None)
    assert {offer.within for offer in found.offers} == {("steps",)}
    lines = matched_lines([found], made_up(arms=ARMS).study)
    assert lines[0].endswith("and cost 5.0 dense trainings in steps.")
    row = next(line for line in lines if line.startswith("rigl "))
    assert row.split()[:7] == ["rigl", "steps", "4", "1.2%", "95.30", "1.00", UNKNOWN]
    one = compared(cost=lambda spec, flops: spent(100, None if spec.arm == "rigl" else flops))[4]
    assert offers(one)["rigl", "steps"].times_flops is None
    assert ("small_dense", "steps", "flops") in offers(one)


def test_a_search_of_which_a_record_is_missing_has_no_cost():
    made = priced(made_up(arms=ARMS))
    records = [r for r in made.records if (r.spec.arm, r.spec.round, r.spec.replicate) != ("ticket", 1, 1)]
    found = {each.round: each for each in at_equal_cost(Findings(made.study, records))}[4]
    assert found.cost.steps is None
    assert found.offers == ()
    assert set(found.nothing.values()) == {"the ticket's own cost isn't known"}
    lines = matched_lines([found], made.study)
    assert lines[0].endswith("test accuracy; what it cost isn't known: records that it takes are missing.")
    assert lines[-1].startswith(
        "Not compared: dense network, dense_longer, rigl, small_dense, random_reinit ("
    )
    lacking = [r for r in made.records if (r.spec.arm, r.spec.round) != ("dense_longer", 1)]
    found = {each.round: each for each in at_equal_cost(Findings(made.study, lacking))}[4]
    assert found.nothing == {"dense_longer": "what it cost isn't known"}


def test_replicates_that_an_arm_lacks_are_not_compared():
    found = compared(keep=lambda spec: spec.arm != "rigl" or spec.replicate > 0)[4]
    rigl = offers(found)["rigl", "steps", "flops"]
    assert (rigl.effect.count, rigl.effect.mean) == (2, pytest.approx(-1.0 + 0.025))
    assert rigl.test_accuracy == pytest.approx((95.3 + 95.65) / 2)
    assert found.replicates == 3
    made = priced(made_up(arms=ARMS))
    apart = [r for r in made.records if (r.spec.replicate == 1) == (r.spec.arm == "rigl") or not r.spec.round]
    (_, found) = at_equal_cost(Findings(made.study, apart))
    assert found.nothing == {"rigl": "no replicate in common"}


def test_a_round_of_one_replicate_is_offered_only_if_there_is_none_of_more():
    truth = {"validation": GOOD | {("dense_longer", 3): 5.0}}
    lacking = compared(keep=lambda s: (s.arm, s.round) != ("dense_longer", 3) or s.replicate == 0, **truth)
    assert offers(lacking[4])["dense_longer", "steps"].round == 1


def test_arms_on_other_data_are_not_compared_and_arms_not_yet_trained_are_named():
    found = compared(keep=lambda spec: spec.arm != "small_dense")[4]
    assert found.nothing == {"small_dense": "not trained yet"}
    made = priced(made_up(arms=ARMS))
    records = []
    for record in made.records:
        spec = record.spec
        if spec.arm == "rigl":
            spec = spec.model_copy(update={"data": spec.data.model_copy(update={"digest": "e" * 64})})
        records.append(record.model_copy(update={"spec": spec}))
    (_, found) = at_equal_cost(Findings(made.study, records))
    assert found.nothing == {"rigl": "on other data, or another network"}


def test_it_is_told_in_words_first():
    test = GOOD | {"dense_longer": 1.0, "rigl": 0.5}
    made = priced(made_up(arms=ARMS, test=test, validation=GOOD | {"rigl": 0.1}))
    lines = matched_lines(at_equal_cost(made), made.study)
    assert lines[2] == (
        "The ticket of round 4 (1.2% of the weights) reached 96.30% test accuracy and cost 5.0 dense "
        "trainings in steps, 1.9 in FLOPs of the weights that remain."
    )
    assert lines[3] == (
        "Within as many steps the dense network reached 96.30% (undecided: +0.00 points, -0.12 to 0.12); of "
        "2 arms that are sparse or small from the start the best by validation, rigl, reached 95.80% (-0.50 "
        "points, -0.62 to -0.38) at 1/5 of the steps."
    )
    assert lines[4] == ""
    assert "Untested" not in "".join(lines)


def test_a_study_without_such_arms_says_in_a_line_what_would_tell():
    made = priced(made_up(arms=["ticket", "random_reinit"]))
    lines = matched_lines(at_equal_cost(made), made.study)
    assert lines[2] == (
        "Untested: what dense_longer, rigl and small_dense would have reached for that. Add arms: {ticket: "
        "{}, dense_longer: {}, rigl: {}, small_dense: {}}."
    )
    made = priced(made_up(arms=["ticket", "rigl", "dense_longer"]))
    lines = matched_lines(at_equal_cost(made), made.study)
    assert lines[4] == (
        "Untested: what small_dense would have reached for that. Add arms: {ticket: {}, small_dense: {}}."
    )


def test_a_study_without_tickets_is_told_in_a_line():
    made = made_up(arms=ARMS, keep=lambda spec: spec.round == 0)
    assert matched_lines(at_equal_cost(made), made.study) == [
        "No ticket is trained yet whose cost could be compared."
    ]


def test_tables_fit_100_columns():
    made = priced(made_up())
    lines = matched_lines(at_equal_cost(made), made.study)
    tables = [line for line in lines if not line.startswith(("The ticket", "Within", "Not compared"))]
    assert len(tables) > 30
    assert max(map(len, tables)) <= 100


def test_programs_read_the_same():
    made = priced(made_up(arms=ARMS))
    last = rows(at_equal_cost(made))[-1]
    assert (last["arm"], last["round"], last["cost"]["steps"]) == ("ticket", 4, 500)
    (rigl,) = [offer for offer in last["offers"] if offer["arm"] == "rigl"]
    assert (rigl["round"], rigl["within"], rigl["answer"]) == (4, ("steps", "flops"), "lower")
    assert rigl["effect"]["mean"] == pytest.approx(-1.0)
