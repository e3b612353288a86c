"""What candidates came to, in numbers that can be worked out by hand."""

import math

import pytest

from tests.tuning.made_up import DENSE, candidate_of, down_to, finished, made_up, point, trained
from tf_lottery.method.plan import plan
from tf_lottery.tuning.outcome import Front, Outcome, needed, outcome, points, searched

TUNE = made_up().tune
AT_EIGHTH = made_up(objective={"accuracy_at": 0.125}).tune


def came_to(*tickets, tune=TUNE, reference=None, dense=0.9):
    found = {each.round: each for each in (point(0, 1.0, dense, cost=100), *tickets)}
    return outcome(found, tune, reference, ended_early=False)


def test_the_density_at_which_tickets_cease_to_match_lies_between_two_rounds_by_its_logarithm():
    result = came_to(point(1, 0.5, 0.9, cost=120), point(2, 0.25, 0.88, cost=140))
    assert result.value == pytest.approx(0.5 * math.sqrt(0.5))  # 0.89 is half of the way from 0.90 to 0.88
    assert (result.ticket.round, result.cost) == (1, 120)
    assert [each.round for each in result.matching] == [1]


@pytest.mark.parametrize(("accuracy", "share"), [(0.87, 1 / 3), (0.888, 5 / 6), (0.8, 1 / 10)])
def test_the_faster_accuracy_falls_the_nearer_it_lies_to_the_last_ticket_that_matches(accuracy, share):
    result = came_to(point(1, 0.5, 0.9), point(2, 0.25, accuracy))
    assert result.value == pytest.approx(0.5 * 0.5**share)


def test_a_ticket_that_is_better_than_the_dense_network_counts_as_it_is():
    result = came_to(point(1, 0.5, 0.95), point(2, 0.25, 0.85))
    assert result.value == pytest.approx(0.5 * 0.5**0.6)


def test_if_none_matches_the_density_lies_below_the_dense_networks():
    result = came_to(point(1, 0.5, 0.7, cost=120), point(2, 0.25, 0.9, cost=140))
    assert result.value == pytest.approx(0.5 ** (0.01 / 0.2))
    assert (result.ticket, result.matching, result.cost) == (None, (), 120)


def test_if_all_match_it_is_the_last_tickets_density():
    result = came_to(point(1, 0.5), point(2, 0.25), point(3, 0.125, 0.89))
    assert (result.value, result.ticket.round) == (0.125, 3)


def test_a_ticket_after_one_that_fails_doesnt_match():
    result = came_to(point(1, 0.5, 0.9), point(2, 0.25, 0.8), point(3, 0.125, 0.95))
    assert result.ticket.round == 1


def test_the_dense_network_of_the_studys_own_setting_is_the_measure_if_it_is_better():
    tickets = point(1, 0.5, 0.9), point(2, 0.25, 0.8)
    assert came_to(*tickets, reference=0.5).value == came_to(*tickets).value
    strict = came_to(*tickets, reference=0.91 + 1e-9)
    assert strict.ticket is None
    assert strict.value == 1.0, "not even its own dense network matches"
    assert needed(point(0, 1.0, 0.9), TUNE, 0.95) == pytest.approx(0.94)


def test_accuracies_that_differ_by_rounding_alone_match():
    assert 0.98 - 0.97 > 0.01
    assert came_to(point(1, 0.5, 0.97), dense=0.98).ticket.round == 1


def test_without_a_ticket_or_a_dense_network_nothing_is_known():
    assert outcome({0: point(0, 1.0)}, TUNE, None, False) is None
    assert outcome({1: point(1, 0.5)}, TUNE, None, False) is None
    assert outcome({}, TUNE, None, False) is None


def test_accuracy_at_a_density_lies_between_the_tickets_beside_it():
    result = came_to(point(1, 0.25, 0.9, cost=120), point(2, 0.0625, 0.8, cost=140), tune=AT_EIGHTH)
    assert result.value == pytest.approx(0.85)
    assert (result.ticket.round, result.cost) == (2, 140)
    assert result.matching == (result.ticket,)


def test_accuracy_at_the_density_of_a_ticket_is_that_tickets():
    result = came_to(point(1, 0.5, 0.9), point(2, 0.125, 0.83), point(3, 0.06, 0.1), tune=AT_EIGHTH)
    assert (result.value, result.ticket.round) == (0.83, 2)
    almost = came_to(point(1, 0.5, 0.9), point(2, 0.125 * (1 + 1e-10), 0.83), tune=AT_EIGHTH)
    assert almost.value == pytest.approx(0.83)


def test_accuracy_above_the_first_ticket_lies_below_the_dense_networks():
    result = came_to(point(1, 1 / 64, 0.6), tune=AT_EIGHTH)
    assert result.value == pytest.approx(0.75)


def test_accuracy_at_a_density_that_wasnt_reached_is_unknown():
    assert came_to(point(1, 0.5), point(2, 0.13), tune=AT_EIGHTH) is None


@pytest.mark.parametrize(
    ("tune", "value", "cost", "score"),
    [
        ({}, 0.25, 400, math.log(0.25) + 0.5 * math.log(400)),
        ({"cost_weight": 2.0}, 0.25, 400, math.log(0.25) + 2 * math.log(400)),
        ({"cost": None}, 0.25, 400, math.log(0.25)),
        ({}, 0.25, None, math.log(0.25)),
        ({"objective": {"accuracy_at": 0.1}, "cost": None}, 0.96, 1, math.log(0.04)),
        ({"objective": {"accuracy_at": 0.1}, "cost": None}, 1.0, 1, math.log(1e-6)),
    ],
)
def test_the_score_is_the_loss_times_a_power_of_the_cost(tune, value, cost, score):
    result = Outcome(value, None, point(0, 1.0), (), cost)
    assert result.score(made_up(**tune).tune) == pytest.approx(score)


def test_points_are_means_over_replicates_that_are_all_finished():
    tuning = made_up({"replicates": 2})
    candidate = candidate_of(tuning)
    accuracy = {0: 0.9, 1: 0.8}
    records, _ = trained(candidate, tuning.tune, lambda spec: accuracy[spec.replicate])
    found = points(candidate, records, tuning.tune)
    assert found[0].accuracy == pytest.approx(0.85)
    assert found[6].density == 1 / 64
    assert found[6].test_accuracy == 0.96
    lacking = [r for r in records if not (r.spec.arm == "final" and r.spec.replicate == 1 and r.spec.round)]
    assert points(candidate, lacking, tuning.tune).keys() == {0}


def test_the_cost_of_a_ticket_is_its_search_and_its_final_training_by_the_ledger():
    tuning = made_up()
    candidate = candidate_of(tuning)
    records, _ = trained(candidate, tuning.tune)
    for cost, of_step in (("steps", 1), ("seconds", 0.1), (None, None)):
        tune = made_up(cost=cost).tune
        found, chain = points(candidate, records, tune), searched(candidate, records, tune)
        known = [found[0].cost, found[5].cost, found[6].cost, chain[0].cost, chain[6].cost]
        steps = [100, 5 * 20 + 100, 6 * 20 + 100, 20, 7 * 20]
        assert known == [of_step and pytest.approx(each * of_step) for each in steps]


def test_the_cost_in_flops_is_that_of_the_weights_that_remain():
    tuning = made_up(cost="flops")
    candidate = candidate_of(tuning)
    records, _ = trained(candidate, tuning.tune, down_to(0.5))
    found = points(candidate, records, tuning.tune)
    assert found[0].cost == 2 * 1024 * 100
    assert found[1].cost == 2 * 1024 * 20 + 2 * 512 * 100
    unknown = [record.model_copy(update={"spent": None}) for record in records]
    assert points(candidate, unknown, tuning.tune)[1].cost is None


def test_a_candidate_without_a_search_has_the_points_of_its_rounds():
    tuning = made_up({"search": None, "arms": {"ticket": {}}})
    candidate = candidate_of(tuning)
    records, at = trained(candidate, tuning.tune, down_to(0.25))
    found = points(candidate, records, tuning.tune)
    assert [(p.density, p.accuracy, p.cost) for p in found.values()] == [
        (1, DENSE, 100),
        (0.5, DENSE, 200),
        (0.25, DENSE, 300),
        (0.125, pytest.approx(0.9), 400),
    ]
    assert at.outcome.ticket == found[2]
    assert at.outcome.value == pytest.approx(0.25 * 0.5**0.2)


def test_the_front_keeps_what_nothing_else_is_better_than():
    tuning = made_up()
    first, second = candidate_of(tuning), candidate_of(tuning, 1, pruning__rate=0.75)
    front = Front(tuning.tune)
    front.add(first, came_to(point(1, 0.5, cost=120), point(2, 0.25, cost=140), point(3, 0.1, cost=300)))
    front.add(second, came_to(point(1, 0.25, cost=130), point(2, 0.1, cost=300), point(3, 0.05, 0.5, cost=1)))
    entries = [(loss, cost, candidate.number, at.round) for loss, cost, candidate, at in front.entries]
    assert entries == [(0.1, 300, 0, 3), (0.25, 130, 1, 1), (0.5, 120, 0, 1)]


@pytest.mark.parametrize(
    ("density", "cost", "beaten"),
    [
        (0.25, 140, True),
        (0.25, 139, False),
        (0.24, 10_000, False),
        (0.3, 141, True),
        (0.6, 120, True),
        (0.6, 119, False),
        (0.6, None, False),
    ],
)
def test_the_front_beats_what_is_no_sparser_and_costs_no_less(density, cost, beaten):
    front = Front(TUNE)
    front.add(candidate_of(made_up()), came_to(point(1, 0.5, cost=120), point(2, 0.25, cost=140)))
    assert front.beats(density, cost) is beaten


def test_without_a_cost_the_sparsest_ticket_is_the_front():
    tune = made_up(cost=None).tune
    front = Front(tune)
    front.add(candidate_of(made_up()), came_to(point(1, 0.5, cost=1), point(2, 0.25, cost=9), tune=tune))
    assert [entry[:2] for entry in front.entries] == [(0.25, 0)]
    assert front.beats(0.25, None)
    assert not front.beats(0.2, None)


def test_the_front_of_accuracies_is_of_wrong_answers():
    front, candidate = Front(AT_EIGHTH), candidate_of(made_up(objective={"accuracy_at": 0.125}))
    front.add(candidate, came_to(point(1, 0.5), point(2, 0.125, 0.8, cost=90), tune=AT_EIGHTH))
    front.add(candidate, came_to(point(1, 0.5), point(2, 0.125, 0.7, cost=80), tune=AT_EIGHTH))
    front.add(candidate, came_to(point(1, 0.5), point(2, 0.125, 0.6, cost=85), tune=AT_EIGHTH))
    assert [(pytest.approx(loss), cost) for loss, cost, _, _ in front.entries] == [(0.2, 90), (0.3, 80)]


def test_a_candidate_with_a_part_of_the_resource_is_on_no_front():
    front = Front(TUNE)
    front.add(candidate_of(made_up(), share=1 / 3), came_to(point(1, 0.5, cost=1)))
    assert front.entries == []


def test_points_of_runs_that_cant_start_yet_are_missing():
    candidate = candidate_of(made_up())
    records = [finished(spec) for spec in plan(candidate.study, [])]
    assert points(candidate, records, TUNE).keys() == {0}
    assert points(candidate, [], TUNE) == {}
