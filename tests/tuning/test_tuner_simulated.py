"""The loop of a tuning, whose executor trains nothing: what is asked and shared, and when it ends."""

import json

import pytest

from tests.tuning.made_up import DENSE
from tests.tuning.simulated import RATES, STEPS, Heard, table
from tf_lottery.errors import LotteryError
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import finalists


def test_the_studys_own_setting_comes_first_and_then_batches_of_a_size(simulation):
    heard = Heard()
    tuned = simulation.run(observer=heard)
    batches = [["000"], ["001", "002"], ["003", "004"]]
    assert heard.batches[:3] == batches
    assert heard.numbers == [each.candidate.number for each in tuned.tried] == list(range(5))
    assert tuned.tried[0].candidate.values == {}
    assert tuned.ended == "5 candidates were tried"
    asked = json.loads(TuningPaths(simulation.directory).asked.read_text())
    assert [[f"{each['number']:03}" for each in batch] for batch in asked] == batches[1:]


def test_one_executor_trains_all_and_is_closed_in_the_end(simulation):
    simulation.run()
    (executor,) = simulation.executors
    assert executor.closed == 1
    assert executor.checked[:3] == ["made_up_000", "made_up_001", "made_up_002"]


def test_it_is_closed_too_where_a_tuning_is_interrupted(simulation):
    with pytest.raises(KeyboardInterrupt):
        simulation.run(executor={"ends_at": 5})
    assert simulation.executors[0].closed == 1


def test_what_candidates_share_is_trained_and_counted_once(simulation):
    heard = Heard()
    tuned = simulation.run(ranges=RATES, confirm=0, observer=heard)
    assert len(simulation.trained) == len(set(simulation.trained)) == len(heard.done)
    assert tuned.distinct == tuned.spent.steps
    alone = sum(each.steps for each in tuned.tried)
    assert tuned.saved == 1 - tuned.distinct / alone > 0
    assert tuned.tried[0].steps in {each.steps for each in tuned.tried[1:]}, "the rate 0.5 is the study's own"


def test_the_dense_network_is_trained_once_for_all_rewind_points_of_a_list(simulation):
    tuned = simulation.run(oracle="grid", ranges={"rewind.to": ["0it", "5it", "10it"]})
    assert len(tuned.tried) == 4
    assert len(simulation.trained) == len(set(simulation.trained))


@pytest.mark.parametrize(("confirm", "budgets"), [(0, (700, 20_000)), (2, (2800, 20_000))])
def test_a_budget_in_steps_is_kept(another, confirm, budgets):
    counts = []
    for budget in budgets:
        simulation = another()
        tuned = simulation.run(budget=f"{budget}it", candidates=12, confirm=confirm)
        steps = sum(spec_steps(spec) for spec in simulation.executors[0].trained)
        assert steps == tuned.spent.steps <= budget
        assert tuned.distinct <= tuned.spent.steps
        assert len(tuned.tried) == 12 or tuned.ended == f"the budget of {budget}it holds no further candidate"
        counts.append(len(tuned.tried))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def spec_steps(spec):
    return int(spec.training.steps.removesuffix("it"))


@pytest.mark.parametrize(("budget", "count"), [(8000, 2), (40_000, 3)])
def test_a_budget_holds_the_confirmation_of_a_candidate_that_takes_more_than_the_studys_own(
    simulation, budget, count
):
    """The longer a network is trained, the sparser its tickets are."""

    def accuracy(spec):
        return DENSE - (0.03 if spec.round > 1 and spec_steps(spec) < 900 else 0)

    ranges = {"training.steps": ["100it", "900it"]}
    tuned = simulation.run(
        oracle="grid", ranges=ranges, budget=f"{budget}it", cost=None, executor={"accuracy": accuracy}
    )
    assert tuned.spent.steps <= budget
    assert len(tuned.tried) == count
    assert len(tuned.confirmed) == (count == 3)


def test_a_budget_that_holds_no_candidate_is_refused_before_anything_is_written(simulation):
    with pytest.raises(LotteryError, match=r"tune\.budget: expected at least .* steps.*Received: 100it"):
        simulation.run(budget="100it")
    assert not simulation.directory.exists()


def test_a_budget_in_seconds_ends_the_proposals_once_it_is_spent(simulation):
    tuned = simulation.run(budget="60s", candidates=30, at_once=1, confirm=0)
    assert tuned.ended == "the budget of 60s holds no further candidate"
    assert 1 < len(tuned.tried) < 30
    assert tuned.spent.seconds >= 60
    assert tuned.spent.seconds - tuned.tried[-1].steps / 10 < 60
    again = simulation.run(budget="60s", candidates=30, at_once=1, confirm=0)
    assert table(again) == table(tuned)
    assert simulation.executors[1].trained == []


@pytest.mark.parametrize("oracle", ["random", "grid"])
def test_it_ends_where_ranges_are_exhausted(simulation, oracle):
    tuned = simulation.run(oracle=oracle, ranges=RATES, candidates=30)
    assert sorted(each.candidate.values["pruning.rate"] for each in tuned.tried[1:]) == RATES["pruning.rate"]
    assert tuned.ended == "the ranges hold no more candidates"


def test_the_same_proposal_again_and_again_ends_it(simulation):
    """All draws are one value once they are rounded."""
    ranges = {"pruning.rate": {"min": 0.40001, "max": 0.40002}}
    tuned = simulation.run(ranges=ranges, candidates=30)
    rates = [each.candidate.values["pruning.rate"] for each in tuned.tried[1:]]
    assert len(rates) == len(set(rates)) <= 3
    assert tuned.ended == "the last 20 proposals were known already"


def test_what_ends_one_batch_isnt_said_of_the_whole(simulation):
    """Hyperband has no further proposal until it has heard of the first ones."""
    ranges = {"training.batch_size": list(range(10, 20))}
    options = {"oracle": "hyperband", "resource": "rounds", "down_to": 0.5, "confirm": 0}
    tuned = simulation.run(**options, ranges=ranges, candidates=12, at_once=11)
    assert [len(batch) for batch in json.loads(TuningPaths(simulation.directory).asked.read_text())] == [
        10,
        1,
    ]
    assert len(tuned.tried) == 12
    assert tuned.ended == "12 candidates were tried"


def test_hyperband_recommends_none_but_candidates_with_the_full_resource(simulation):
    tuned = simulation.run(oracle="hyperband", ranges=STEPS, candidates=15, down_to=0.2, confirm=0)
    shares = [round(9 * each.candidate.share) for each in tuned.tried]
    assert shares == [9] + [1] * 9 + [3] * 3 + [9] + [3]
    assert tuned.best.candidate.share == 1.0
    assert {candidate.share for _, _, candidate, _ in tuned.front.entries} == {1.0}


def test_finalists_are_tried_on_fresh_seeds_beside_the_studys_own_setting(simulation):
    heard = Heard()
    tuned = simulation.run(observer=heard, ranges=STEPS, confirm=2, candidates=7)
    assert tuned.confirmed.keys() == {
        each.candidate.number for each in finalists(tuned.tried, tuned.tuning.tune)
    }
    assert tuned.best.candidate.number in tuned.confirmed
    seeds = []
    for number, pairs in tuned.confirmed.items():
        assert len(pairs) == 2
        for own, other in pairs:
            assert (own.candidate.number, other.candidate.number) == (0, number)
            assert own.candidate.study.seed == other.candidate.study.seed
            assert own.candidate.fresh
            assert other.candidate.values == tuned.tried[number].candidate.values
            assert own.outcome
            assert other.outcome
            seeds.append(own.candidate.study.seed)
    assert len({*seeds, tuned.tuning.study.seed}) == 3
    assert heard.batches[-1] == [f"000_seed{seed}" for seed in seeds[:2]]
    assert tuned.spent.steps > tuned.distinct
    assert len(tuned.tried) == 7, "trials on fresh seeds are no candidates"


def test_the_studys_own_setting_needs_no_confirmation(simulation):
    tuned = simulation.run(executor={"accuracy": lambda spec: DENSE if left_at_half(spec) else 0.5})
    assert tuned.best.candidate.values == {}
    assert tuned.confirmed == {}


def left_at_half(spec):
    return not spec.pruning or spec.pruning.rate == 0.5
