"""Which runs of a candidate come next: whole candidates, simulated on made-up accuracies."""

import math
import random

import pytest

from tests.tuning.made_up import (
    DENSE,
    candidate_of,
    down_to,
    finals,
    finished,
    left,
    made_up,
    point,
    searched,
    trained,
)
from tf_lottery.method.plan import plan
from tf_lottery.tuning.candidate import most_steps
from tf_lottery.tuning.outcome import Front, Outcome, outcome, points
from tf_lottery.tuning.stages import stage

TUNING = made_up()


def places(at):
    return [(spec.arm, spec.replicate, spec.round) for spec in at.coming]


def front_of(*tickets, tune=TUNING.tune):
    """The front of another candidate's tickets, each a density and a cost."""
    front = Front(tune)
    matching = [point(round, density, cost=cost) for round, (density, cost) in enumerate(tickets, 1)]
    front.add(candidate_of(TUNING, 1), Outcome(0.0, matching[-1], point(0, 1.0), tuple(matching), None))
    return front


def test_both_dense_networks_come_first():
    candidate = candidate_of(TUNING)
    assert places(stage(candidate, [], TUNING.tune, Front(TUNING.tune), None)) == [
        ("final", 0, 0),
        ("ticket", 0, 0),
    ]


@pytest.mark.parametrize(
    ("matching", "asked"),
    [
        (0, [3, 1]),
        (1, [3, 1, 2]),
        (2, [3, 1, 2]),
        (3, [3, 5, 4]),
        (4, [3, 5, 4]),
        (5, [3, 5, 6]),
        (6, [3, 5, 6]),
    ],
)
def test_finals_are_looked_for_by_halving_the_rounds_that_are_left(matching, asked):
    candidate = candidate_of(TUNING)
    records, at = trained(candidate, TUNING.tune, down_to(0.5**matching))
    assert finals(candidate, records) == asked
    assert searched(candidate, records) == 7, "rounds 0 to 6, and no round after 1/64"
    assert at.outcome.ticket == (points(candidate, records, TUNING.tune)[matching] if matching else None)
    last = 0.5**matching * (0.5**0.2 if matching < 6 else 1)
    assert at.outcome.value == pytest.approx(last)
    assert not at.outcome.ended_early


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_finals_are_few_however_many_rounds_there_are_and_find_what_all_would(rate):
    tuning = made_up(down_to=0.01)
    candidate = candidate_of(tuning, 1, pruning__rate=rate)
    for density in (0.9, 0.2, 0.011, 0.001):
        accuracy = down_to(density)
        records, at = trained(candidate, tuning.tune, accuracy)
        rounds = searched(candidate, records) - 1
        every = [finished(spec, accuracy) for spec in _all_finals(candidate, records)]
        best = outcome(points(candidate, [*records, *every], tuning.tune), tuning.tune, None, False)
        assert (at.outcome.value, at.outcome.ticket) == (best.value, best.ticket)
        assert len(finals(candidate, records)) <= math.ceil(math.log2(rounds + 1))
        steps = sum(record.spent.steps for record in records)
        assert steps <= most_steps(candidate, lambda study: 1000)


def _all_finals(candidate, records):
    return [spec for spec in plan(candidate.study, records) if spec.arm == candidate.arm]


def test_no_final_is_trained_before_the_search_is_at_its_end_unless_others_are_known():
    candidate = candidate_of(TUNING)
    records, _ = trained(candidate, TUNING.tune, down_to(0.25))
    order = [(record.spec.arm, record.spec.round) for record in records]
    assert order.index(("ticket", 6)) < order.index(("final", 3))


def test_the_search_ends_at_the_first_round_at_or_below_the_floor():
    for floor, rounds in ((1 / 64, 6), (1 / 64 + 1e-6, 6), (1 / 32, 5), (0.4, 2)):
        tuning = made_up(down_to=floor)
        candidate = candidate_of(tuning)
        assert searched(candidate, trained(candidate, tuning.tune)[0]) == rounds + 1


def dominated():
    """A candidate whose round r costs 100 + 20 r, and a front that is as good up to round 4."""
    return candidate_of(TUNING), front_of((1 / 4, 120), (1 / 16, 140))


def test_a_candidate_is_given_up_once_its_first_hopeful_ticket_fails():
    candidate, front = dominated()
    records, at = trained(candidate, TUNING.tune, down_to(0.25), front)
    assert finals(candidate, records) == [5], "rounds 1 to 4 are no sparser than 1/16, and cost no less"
    assert searched(candidate, records) == 6, "round 6 isn't searched for"
    assert at.outcome.ended_early
    assert at.outcome.ticket is None
    assert at.outcome.value == 1 / 16, "the last round before the one that failed"
    assert at.outcome.failing.round == 5


def test_a_candidate_is_not_given_up_while_it_could_be_of_use():
    candidate, front = dominated()
    for matching, asked in ((5, [5, 6]), (6, [5, 6])):
        records, at = trained(candidate, TUNING.tune, down_to(0.5**matching), front)
        assert finals(candidate, records) == asked
        assert searched(candidate, records) == 7
        assert (at.outcome.ended_early, at.outcome.ticket.round) == (False, matching)


def test_a_candidate_all_of_whose_tickets_are_beaten_trains_one_final_that_says_so():
    front = front_of((1 / 256, 120))
    sparser = made_up(down_to=1 / 16)
    candidate = candidate_of(sparser)
    for matching, ended_early in ((0, True), (4, False)):
        records, at = trained(candidate, sparser.tune, down_to(0.5**matching), front)
        assert finals(candidate, records) == [4]
        assert at.outcome.ended_early is ended_early


def test_a_cheaper_candidate_is_not_given_up():
    """The front is sparser, but takes more steps than its first ticket."""
    front = front_of((1 / 64, 121))
    candidate = candidate_of(TUNING)
    records, at = trained(candidate, TUNING.tune, down_to(0.5), front)
    assert finals(candidate, records) == [3, 1, 2]
    assert at.outcome.ticket.round == 1


def test_without_a_cost_only_a_sparser_ticket_is_of_use():
    tuning = made_up(cost=None)
    front = front_of((1 / 8, None), tune=tuning.tune)
    candidate = candidate_of(tuning)
    records, at = trained(candidate, tuning.tune, down_to(0.25), front)
    assert (finals(candidate, records), at.outcome.ended_early) == ([4], True)


@pytest.mark.parametrize(
    ("study", "cost"),
    [
        ({"rewind": {"to": "10it"}}, 110),
        ({"arms": {"ticket": {"rewind": {"to": "10it"}}, "final": {}}}, 110),
        ({"rewind": {"steps": "50it"}, "search": {"data": 0.5}}, 150),
        ({"pretrain": {"steps": "40it"}}, 160),
    ],
)
def test_a_ticket_is_beaten_by_what_it_costs_not_by_what_it_would_cost_from_step_0(study, cost):
    """Round 1's final training is shorter than the dense one, or shares what came before it."""
    tuning = made_up(study)
    candidate = candidate_of(tuning)
    records, at = trained(candidate, tuning.tune, down_to(0.25), front_of((1 / 64, cost + 1)))
    assert finals(candidate, records) == [3, 1, 2]
    assert (at.outcome.ticket.round, at.outcome.ended_early) == (2, False)
    assert points(candidate, records, tuning.tune)[1].cost == cost


def test_replicates_go_on_together():
    tuning = made_up({"replicates": 3})
    candidate, front = candidate_of(tuning), Front(tuning.tune)
    records = []
    for round in range(3):
        for replicate in (2, 0, 1):
            at = stage(candidate, records, tuning.tune, front, None)
            assert max(spec.round for spec in at.coming) == round, "none is ahead of the others"
            mine = [s for s in at.coming if (s.replicate, s.round) == (replicate, round)]
            records += [finished(spec) for spec in mine]
    at = stage(candidate, records, tuning.tune, front, None)
    assert places(at) == [("ticket", replicate, 3) for replicate in range(3)]


def test_finals_of_all_replicates_are_judged_by_their_mean():
    tuning = made_up({"replicates": 2})
    candidate = candidate_of(tuning)
    fall = {0: 0.012, 1: 0.006}  # 0.009 on the mean, less than the tolerance
    records, at = trained(
        candidate, tuning.tune, lambda spec: DENSE - fall[spec.replicate] * (spec.round > 0), at_once=True
    )
    assert finals(candidate, records) == [3, 3, 5, 5, 6, 6]
    assert at.outcome.ticket.round == 6


@pytest.mark.parametrize("tickets", [[], [(1 / 4, 120), (1 / 16, 140)], [(1 / 64, 121)]])
def test_whoever_trains_what_first_the_same_is_trained(tickets):
    tuning = made_up({"replicates": 2})
    candidate, front = candidate_of(tuning), front_of(*tickets) if tickets else Front(tuning.tune)
    accuracy = down_to(0.25)
    records, at = trained(candidate, tuning.tune, accuracy, front, at_once=True)
    expected = {record.key for record in records}
    for seed in range(5):
        draw, records = random.Random(seed), []
        while (last := stage(candidate, records, tuning.tune, front, None)).coming:
            spec = last.coming[seed - 1] if seed < 2 else draw.choice(last.coming)  # the first, the last, any
            records.insert(draw.randrange(len(records) + 1), finished(spec, accuracy))
        assert {record.key for record in records} == expected
        assert last == at


def test_the_searchs_dense_network_isnt_taken_for_the_one_that_is_trained_in_full():
    candidate = candidate_of(TUNING)
    _, dense_of_search = stage(candidate, [], TUNING.tune, Front(TUNING.tune), None).coming
    records = [finished(dense_of_search)]
    assert points(candidate, records, TUNING.tune) == {}
    records += [finished(spec) for spec in plan(candidate.study, records) if spec.round == 1]
    assert stage(candidate, records, TUNING.tune, Front(TUNING.tune), None).outcome is None


@pytest.mark.parametrize(
    ("density", "asked"), [(0.1, [3, 4]), (0.125, [3]), (0.6, [1]), (0.5, [1]), (0.3, [1, 2])]
)
def test_accuracy_at_a_density_takes_the_finals_beside_it_alone(density, asked):
    tuning = made_up(objective={"accuracy_at": density}, tolerance=None)
    candidate = candidate_of(tuning)
    records, at = trained(candidate, tuning.tune, lambda spec: 0.9 - 0.1 * math.log2(1024 / left(spec)))
    assert sorted(finals(candidate, records)) == asked
    assert searched(candidate, records) == max(asked) + 1
    assert at.outcome.value == pytest.approx(0.9 - 0.1 * math.log2(1 / density))
    assert at.outcome.ticket.round == max(asked)


def test_a_share_of_the_rounds_ends_at_a_greater_density():
    for objective in ("sparsest_matching", {"accuracy_at": 1 / 64}):
        tuning = made_up(objective=objective, oracle="hyperband", resource="rounds")
        candidate = candidate_of(tuning, 1, share=1 / 3)
        assert candidate.floor == pytest.approx(1 / 4)
        records, at = trained(candidate, tuning.tune, lambda spec: DENSE - 0.001 * spec.round)
        assert searched(candidate, records) in (3, 4), "1/4 by its logarithm may lie on either side"
        assert at.outcome is not None
        assert at.outcome.ticket.density <= 1 / 4


def test_a_candidate_without_a_search_ends_where_its_tickets_cease_to_match():
    tuning = made_up({"search": None, "arms": {"ticket": {}}})
    candidate = candidate_of(tuning)
    records, at = trained(candidate, tuning.tune, down_to(0.25))
    assert [record.spec.round for record in records] == [0, 1, 2, 3]
    assert all(record.spec.arm == "ticket" for record in records)
    assert at.outcome.ticket.round == 2


def test_a_better_dense_network_of_the_studys_own_setting_asks_for_more():
    candidate = candidate_of(TUNING)
    accuracy = lambda spec: DENSE - (0.008 if spec.round > 2 else 0)  # noqa: E731
    assert trained(candidate, TUNING.tune, accuracy)[1].outcome.ticket.round == 6
    strict = trained(candidate, TUNING.tune, accuracy, reference=DENSE + 0.005)[1]
    assert strict.outcome.ticket.round == 2


def test_a_run_that_failed_stays_the_one_that_comes():
    """The driver leaves it out, so that the candidate is at its end without it."""
    candidate = candidate_of(TUNING)
    records, _ = trained(candidate, TUNING.tune, down_to(0.25))
    lacking = [
        r for r in records if (r.spec.arm, r.spec.round) not in {("ticket", 4), ("ticket", 5), ("ticket", 6)}
    ]
    lacking = [r for r in lacking if not (r.spec.arm == "final" and r.spec.round)]
    assert places(stage(candidate, lacking, TUNING.tune, Front(TUNING.tune), None)) == [("ticket", 0, 4)]


def test_runs_of_other_candidates_change_nothing():
    candidate, other = candidate_of(TUNING), candidate_of(TUNING, 1, pruning__rate=0.75)
    others, _ = trained(other, TUNING.tune)
    records, at = trained(candidate, TUNING.tune)
    assert stage(candidate, [*others, *records], TUNING.tune, Front(TUNING.tune), None) == at
