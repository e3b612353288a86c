"""Which runs claims compare: at which round, and of which arms."""

from tests.analysis.made_up import ARMS, GOOD, made_up, remaining, results, validated
from tests.fakes import all_at_once, fake_study
from tf_lottery.analysis.claims import CLAIMS, judge
from tf_lottery.analysis.findings import Findings

FAILS, HOLDS, UNTESTED = "fails", "holds", "untested"


def test_a_ticket_that_beats_controls_where_it_doesn_t_match_isn_t_a_winning_one():
    """It matches at half of the weights alone, where controls are as good; at 21% and below it beats them."""
    validation = {"ticket": -1.0, ("ticket", 1): 1.0}
    findings = made_up(validation=validation, test=GOOD, arms=["ticket", "random_reinit"])
    assert CLAIMS["matching_ticket"](findings).where["round"] == 1
    assert CLAIMS["reinitialized_is_worse"](findings).where["round"] == 2
    assert CLAIMS["winning_ticket"](findings).where["round"] == 1
    late = made_up(
        validation=validation,
        arms=["ticket", "random_reinit"],
        keep=lambda spec: spec.arm == "ticket" or spec.round > 1,
    )
    assert CLAIMS["reinitialized_is_worse"](late).answer == HOLDS
    assert CLAIMS["winning_ticket"](late).answer == UNTESTED


def test_validation_chooses_the_round_that_is_compared_and_test_accuracies_do_not():
    def where(**truth):
        return {told.name: told.answer.where for told in judge(made_up(**truth))}

    assert where() == where(test=dict.fromkeys(ARMS, 7.0)) == where(test={"ticket": -9.0, "late": 3.0})
    sparse = where()["reinitialized_is_worse"]
    fewer = where(**validated(-1.0, 4))["reinitialized_is_worse"]
    assert (sparse["round"], fewer["round"]) == (4, 3)
    none = where(validation={"ticket": -1.0})["reinitialized_is_worse"]
    assert none["round"] == 2, "no ticket matches: at 21%"


def test_arms_are_compared_at_21_percent_if_only_denser_tickets_match():
    findings = made_up(validation={"ticket": -1.0, ("ticket", 1): 1.0})
    assert CLAIMS["more_than_its_layers"](findings).where["round"] == 2


def test_arms_that_skip_rounds_are_compared_at_the_nearest_that_both_have():
    found = made_up(keep=lambda spec: spec.arm != "shuffled" or spec.round in (1, 3))
    assert CLAIMS["more_than_its_layers"](found).where["round"] == 3
    assert CLAIMS["reinitialized_is_worse"](found).where["round"] == 4
    assert CLAIMS["winning_ticket"](found).where["round"] == 3


def test_a_round_that_only_one_replicate_has_finished_hides_none_that_more_have():
    found = made_up(keep=lambda spec: spec.round < 4 or spec.replicate == 0)
    answer = CLAIMS["reinitialized_is_worse"](found)
    assert (answer.answer, answer.where["round"], answer.effect.count) == (HOLDS, 3, 3)


def test_arms_without_a_replicate_in_common_are_not_compared():
    found = made_up(
        keep=lambda spec: spec.arm != "random_reinit" and (spec.round == 0 or spec.replicate != 1)
    )
    assert CLAIMS["reinitialized_is_worse"](found).answer == UNTESTED
    apart = made_up(
        keep=lambda spec: spec.round == 0 or (spec.replicate == 1) == (spec.arm == "random_reinit")
    )
    answer = CLAIMS["reinitialized_is_worse"](apart)
    assert (answer.answer, answer.why) == (
        UNTESTED,
        "ticket and random_reinit have no round of one replicate in common. Let the study go on, or give "
        "them the same rounds.",
    )


def told_of(arms, truth, **settings):
    """Claim -> its answer, of a study with arms of its own."""
    study = fake_study(pruning={"rounds": 4}, arms=arms, replicates=3, **settings)
    records = all_at_once(study, remaining)
    records = [r.model_copy(update=results(r.spec, test=truth, validation=truth)) for r in records]
    return {told.name: told.answer for told in judge(Findings(study, records))}


def test_fine_tuning_is_no_learning_rate_rewinding():
    tuned = {"weights": "trained", "to": "end", "steps": "20it"}
    found = told_of({"ticket": {}, "tuned": {"like": "ticket", "rewind": tuned}}, {"ticket": 1.0})
    assert found["learning_rate_rewinding_is_as_good"].answer == UNTESTED


def test_learning_rate_rewinding_is_compared_with_weights_rewound_to_the_same_step():
    arms = {
        "ticket": {},
        "late": {"like": "ticket", "rewind": {"to": "100it"}},
        "kept": {"like": "ticket", "rewind": {"to": "100it", "weights": "trained"}},
    }
    answer = told_of(arms, {"ticket": 1.0, "late": 2.0, "kept": 1.0})["learning_rate_rewinding_is_as_good"]
    assert answer.answer == FAILS
    assert "Test accuracy of kept less that of late" in answer.why


def test_rewindings_are_compared_between_tickets_that_are_found_in_the_same_way():
    """Random pruning with another rewinding says nothing of rewinding."""
    random = {"criterion": "random"}
    arms = {"ticket": {}, "drawn": {"like": "ticket", "pruning": random, "rewind": {"weights": "rewound"}}}
    found = told_of(arms, {"ticket": 1.0}, rewind={"weights": "trained"})
    assert found["learning_rate_rewinding_is_as_good"].answer == UNTESTED
    arms["drawn"]["rewind"] = {"to": "0it"}
    found = told_of(arms, {"ticket": 1.0}, rewind={"to": "100it"})
    assert found["late_rewinding_helps"].answer == UNTESTED


def test_tickets_on_other_data_or_at_another_rate_are_not_compared():
    elsewhere = {"data": {"name": "fashion_mnist", "digest": "e" * 64}}
    random = {"criterion": "random"}
    for drawn in (
        {"pruning": random, **elsewhere},
        {"pruning": {**random, "rate": 0.5}},
        {"pruning": random, "training": {"learning_rate": 0.1}},
    ):
        found = told_of({"ticket": {}, "drawn": {"like": "ticket", **drawn}}, {"ticket": 1.0})
        assert found["beats_random_pruning"].answer == UNTESTED
    found = told_of({"ticket": {}, "drawn": {"like": "ticket", "pruning": random}}, {"ticket": 1.0})
    assert found["beats_random_pruning"].answer == HOLDS


def test_controls_on_other_arms_or_with_another_training_are_not_those_of_the_ticket():
    arms = {
        "ticket": {},
        "drawn": {"like": "ticket", "pruning": {"criterion": "random", "rate": 0.5}},
        "drawn_reinit": {"like": "random_reinit", "on": "drawn"},
        "drawn_at_once": {"like": "one_shot", "on": "drawn"},
        "other_training": {"like": "random_reinit", "training": {"learning_rate": 0.5}},
    }
    found = told_of(arms, {"ticket": 1.0})
    assert found["reinitialized_is_worse"].answer == UNTESTED
    assert found["iterative_beats_one_shot"].answer == UNTESTED
    assert found["winning_ticket"].answer == UNTESTED


def test_a_cheaper_search_is_judged_by_what_was_trained_in_full():
    random = {"like": "ticket", "pruning": {"criterion": "random"}}
    arms = {
        "ticket": {},
        "final": {},
        "drawn": random,
        "drawn_final": {"like": "final", "on": "drawn"},
        "random_reinit": {},
        "shuffled": {},
        "one_shot": {},
    }
    found = told_of(arms, {"final": 1.0, "ticket": -3.0, "drawn": 5.0}, search={"steps": "10it"})
    for claim in ("winning_ticket", "reinitialized_is_worse", "more_than_its_layers", "generalizes_better"):
        assert found[claim].answer == HOLDS, claim
    assert found["iterative_beats_one_shot"].answer == HOLDS
    assert found["beats_random_pruning"].where["arm"] == "drawn_final"
    assert found["beats_random_pruning"].answer == HOLDS


def test_the_winning_ticket_is_the_sparsest_that_surely_matches():
    """Of the next sparser one it is open whether it does; that doesn't make the denser one undecided."""
    found = made_up(**validated(0.0, 4))
    assert CLAIMS["at_1_percent"](found).answer == "undecided"
    winning = CLAIMS["winning_ticket"](found)
    assert (winning.answer, winning.where) == (HOLDS, {"round": 3})


def test_densities_that_papers_name_are_not_stood_in_for_by_ones_far_from_them():
    found = made_up(keep=lambda spec: spec.round < 2)
    assert CLAIMS["learns_faster"](found).answer == CLAIMS["generalizes_better"](found).answer == UNTESTED
    assert CLAIMS["reinitialized_is_worse"](found).where["round"] == 1
