"""Candidates: the study that each of them is, and the most steps that it takes."""

import pytest

from tests.tuning.made_up import candidate_of, down_to, made_up, trained
from tf_lottery.method.check import check_arms
from tf_lottery.method.plan import foreseen
from tf_lottery.tuning.candidate import most_steps

ALONE = {"search": None, "arms": {"ticket": {}}}


def test_the_studys_own_setting_has_its_values_and_the_tunings_end():
    tuning = made_up({"tolerance": 0.3, "replicates": 2})
    candidate = candidate_of(tuning)
    study = candidate.study
    assert (candidate.number, candidate.values, candidate.arm, candidate.share) == (0, {}, "final", 1.0)
    assert (study.name, study.pruning.rate, study.search.steps) == ("made_up_000", 0.5, "20it")
    assert (study.seed, study.replicates, study.tolerance) == (tuning.study.seed, 2, 0.01)
    ending = study.pruning.rounds, study.pruning.target_density, study.pruning.max_accuracy_drop
    assert ending == (None, 1 / 64, None)
    assert candidate.describe() == "the study's own setting"
    check_arms(study)


def test_a_candidate_has_its_values_in_place_of_the_studys():
    tuning = made_up()
    candidate = candidate_of(tuning, 7, pruning__rate=0.35, search__steps="30it")
    assert (candidate.study.pruning.rate, candidate.study.search.steps) == (0.35, "30it")
    assert candidate.study.training == tuning.study.training
    assert (candidate.name, candidate.study.name) == ("007", "made_up_007")
    assert candidate.describe() == "pruning.rate 0.35, search.steps 30it"
    assert not candidate.fresh


def test_a_candidate_has_the_arms_of_a_tuning_with_the_studys_settings_of_them():
    arms = {
        "ticket": {"pruning": {"criterion": "random"}},
        "in_full": {"like": "final", "rounds": [2], "trials": 2, "training": {"learning_rate": 0.1}},
        "random_reinit": {},
        "one_shot": {},
    }
    candidate = candidate_of(made_up({"arms": arms}))
    assert list(candidate.study.arms) == ["ticket", "in_full"]
    assert candidate.arm == "in_full"
    own = candidate.study.arms["in_full"]
    assert (own.rounds, own.trials, own.training) == (None, 2, {"learning_rate": 0.1})
    assert candidate.study.arms["ticket"].pruning == {"criterion": "random"}


def test_a_search_gets_the_arm_that_trains_in_full_what_it_finds():
    candidate = candidate_of(made_up(ALONE), search__steps="50it")
    assert (candidate.arm, list(candidate.study.arms)) == ("final", ["ticket", "final"])
    check_arms(candidate.study)


def test_without_a_search_the_tickets_count_and_the_tolerance_ends_the_rounds():
    candidate = candidate_of(made_up(ALONE))
    assert (candidate.arm, list(candidate.study.arms)) == ("ticket", ["ticket"])
    assert candidate.study.pruning.max_accuracy_drop == 0.01
    at = candidate_of(made_up(ALONE, objective={"accuracy_at": 0.1}))
    assert (at.study.pruning.max_accuracy_drop, at.floor) == (None, 0.1)


@pytest.mark.parametrize(
    ("share", "training", "search"), [(1 / 9, "12it", "3it"), (1 / 3, "34it", "7it"), (1.0, "100it", "20it")]
)
def test_a_share_of_the_steps_shortens_all_trainings(share, training, search):
    candidate = candidate_of(made_up(oracle="hyperband"), share=share)
    assert (candidate.study.training.steps, candidate.study.search.steps) == (training, search)
    assert candidate.floor == 1 / 64


def test_no_training_is_shortened_to_nothing():
    candidate = candidate_of(made_up({"training": {"steps": "2ep"}, "search": {"steps": "1ep"}}), share=1 / 9)
    assert (candidate.study.training.steps, candidate.study.search.steps) == ("1ep", "1ep")


def test_a_share_of_the_rounds_ends_at_a_greater_density():
    candidate = candidate_of(made_up(oracle="hyperband", resource="rounds"), share=1 / 3)
    assert candidate.floor == candidate.study.pruning.target_density == pytest.approx(1 / 4)
    assert candidate.study.training.steps == "100it"


def test_a_trial_on_a_fresh_seed_has_one_replicate_and_a_name_of_its_own():
    candidate = candidate_of(made_up({"replicates": 3}), 4, seed=99, pruning__rate=0.2)
    assert (candidate.study.seed, candidate.study.replicates, candidate.fresh) == (99, 1, True)
    assert (candidate.name, candidate.study.name) == ("004_seed99", "made_up_004_seed99")


def test_candidates_of_other_values_share_the_dense_network():
    tuning = made_up()
    runs = []
    for values in ({"pruning__rate": 0.25}, {"search__steps": "50it"}, {}):
        records, _ = trained(candidate_of(tuning, **values), tuning.tune)
        runs.append({record.key for record in records})
    assert len(runs[0] & runs[2]) == 2, "both dense networks"
    assert len(runs[1] & runs[2]) == 1, "the one that is trained in full"


@pytest.mark.parametrize(
    ("study", "steps"),
    [
        ({}, (7 + 1) * 20 + (2 + 3) * 100),  # rounds 0 to 6 and one to spare; 3 halvings, and 2 more finals
        ({"replicates": 3}, 3 * ((7 + 1) * 20 + 500)),
        (ALONE, (7 + 1) * 100),
        ({"search": {"steps": "1ep"}}, 8 * 16 + 500),  # 1,000 examples, batches of 60
        ({"pretrain": {"steps": "40it"}}, 8 * 20 + 500 + 40),
        ({"search": {"data": 0.5}, "rewind": {"to": "10it", "steps": "150it"}}, 8 * 150 + 5 * 150),
    ],
)
def test_the_most_steps_of_a_candidate_are_those_of_all_its_rounds_and_few_finals(study, steps):
    assert most_steps(candidate_of(made_up(study)), lambda study: 1000) == steps


@pytest.mark.parametrize("study", [{}, ALONE, {"pretrain": {"steps": "40it"}}, {"rewind": {"to": "5it"}}])
@pytest.mark.parametrize("rate", [0.3, 0.8])
def test_no_candidate_takes_more(study, rate):
    tuning = made_up(study)
    candidate = candidate_of(tuning, pruning__rate=rate)
    for density in (1.0, 0.5, 0.1, 0.001):
        records, _ = trained(candidate, tuning.tune, down_to(density))
        assert sum(record.spent.steps for record in records) <= most_steps(candidate, lambda study: 1000)


def test_the_most_runs_of_a_candidate_are_not_foreseen_since_a_rule_ends_them():
    assert foreseen(candidate_of(made_up()).study) is None
