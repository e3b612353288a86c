import pytest

from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect
from tf_lottery.method.results import Results

ACCURACIES = {0: 0.970, 1: 0.972, 2: 0.965, 3: 0.968}
ARMS = {
    "mine": {"like": "ticket"},
    "drawn": {"like": "ticket", "pruning": {"criterion": "random"}},
    "afresh": {"like": "random_reinit", "on": "mine", "trials": 2},
}


def results(replicates=2, accuracies=ACCURACIES, worse=0.02):
    """Three rounds of two chains and a control, none of them called as ours are."""
    study = fake_study(arms=ARMS, replicates=replicates)

    def validation(spec):
        return accuracies[spec.round] - (0 if spec.arm == "mine" else worse) - 0.001 * spec.replicate

    return Results(collect(study, run_to_the_end(study, validation=validation)))


def test_the_main_arm_is_that_of_the_dense_network():
    found = results()
    assert (found.main, found.arms) == ("mine", ["mine", "drawn", "afresh"])
    assert list(found.rounds(1)) == [0, 1, 2, 3]
    assert {record.spec.replicate for record in found.rounds(1).values()} == {1}


def test_a_second_chain_has_the_dense_run_too():
    rounds = results().rounds(0, "drawn")
    assert [record.spec.arm for record in rounds.values()] == ["mine", "drawn", "drawn", "drawn"]


def test_controls_are_those_of_the_tickets_whatever_their_name():
    found = results()
    controls = found.reinitialized(2, replicate=1)
    assert [(r.spec.arm, r.spec.round, r.spec.trial, r.spec.replicate) for r in controls] == [
        ("afresh", 2, 0, 1),
        ("afresh", 2, 1, 1),
    ]
    assert len(found.reinitialized()) == 6


def test_a_reinitialization_of_edited_masks_is_none_of_the_tickets():
    arms = {"random_reinit": {}, "shuffled": {}, "afresh": {"like": "random_reinit", "on": "shuffled"}}
    study = fake_study(arms=arms)
    found = Results(collect(study, run_to_the_end(study)))
    assert {record.spec.start for record in found.of_arm("afresh") if record.spec.round} == {"reinitialize"}
    assert {record.spec.arm for record in found.reinitialized()} == {"random_reinit"}


def test_the_winner_is_the_sparsest_round_of_which_all_denser_ones_match():
    found = results()
    assert (found.matching_round(), found.winner().spec.round) == (1, 1)
    assert found.matching_round(0.005) == 3
    assert found.winner(0.005, replicate=1).spec.replicate == 1
    assert found.matching_round(0.005, arm="drawn") is None
    assert results(worse=-0.01).matching_round(arm="drawn") == 3
    assert Results([]).winner() is None


def test_rounds_are_chosen_by_number_density_accuracy_or_because_they_match():
    found = results()
    assert found.choose(round=2, replicate=1).spec.replicate == 1
    assert found.choose(density=0.26).spec.round == 2
    assert found.choose(within=0.003).spec.round == 3, "good enough by itself, though round 2 isn't"
    assert found.choose().spec.round == 1
    assert found.choose(tolerance=0.005).spec.round == 3
    assert found.choose(round=2, arm="drawn").spec.arm == "drawn"
    assert results(worse=-0.01).choose(arm="drawn").spec.round == 3


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"round": 4}, "Expected a finished round: 0 to 3. Received: 4"),
        ({"round": True}, "Received: True"),
        ({"density": 0.4}, r"near one of 1, 0.5, 0.25, 0.125. Received: 0.4"),
        ({"density": 0}, "a fraction above 0. Received: 0"),
        ({"within": -0.01}, r"within -0.01 of the dense network \(round 0: 97.00%, round 1: 97.20%"),
        ({"tolerance": -0.01}, r"matches the dense network within -0.01 \(round 0: 97.00%"),
        (
            {"round": 1, "density": 0.5},
            "Expected one of round, density and within. Received: round=1, density",
        ),
    ],
)
def test_what_there_is_not_is_refused(choice, message):
    with pytest.raises(LotteryError, match=message):
        results().choose(**choice)


def test_a_study_without_a_pruned_round_has_no_choice_but_the_dense_one():
    study = fake_study(arms={})
    found = Results(collect(study, [fake_record(run_to_the_end(study)[0].spec)]))
    assert found.choose(round=0).spec.round == 0
    with pytest.raises(LotteryError, match="No pruned round"):
        found.choose()
