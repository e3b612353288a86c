"""The loop of a tuning, whose executor trains nothing: what is asked, shared and kept, and when it ends."""

import itertools
import json
import threading

import pytest

from tests.tuning.made_up import DENSE
from tests.tuning.simulated import Heard, Simulation, simulate, table
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.tuning.paths import TuningPaths

RATES = {"pruning.rate": [0.4, 0.5, 0.75]}
STEPS = {"search.steps": {"min": "5it", "max": "60it"}}


@pytest.fixture
def another(monkeypatch, tmp_path):
    """A function that begins tunings in directories that take nothing over from each other."""
    simulate(monkeypatch)
    return (Simulation(tmp_path / str(number) / "tuning") for number in itertools.count()).__next__


@pytest.fixture
def simulation(another):
    return another()


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


def test_a_finished_tuning_trains_nothing_again(simulation):
    first = simulation.run()
    again = simulation.run(observer=(heard := Heard()))
    assert table(again) == table(first)
    assert (heard.done, simulation.executors[1].trained, simulation.executors[1].checked) == ([], [], [])


def test_wherever_it_is_interrupted_it_comes_to_the_same_and_trains_nothing_twice(another):
    whole = another()
    expected = table(whole.run(ranges=RATES))
    total = len(whole.trained)
    for ends_at in (0, 1, total // 2, total - 5, total - 1):
        other = another()
        with pytest.raises(KeyboardInterrupt):
            other.run(ranges=RATES, executor={"ends_at": ends_at})
        assert table(other.run(ranges=RATES)) == expected
        assert sorted(other.trained) == sorted(whole.trained)


@pytest.mark.parametrize("oracle", ["bayesian", "hyperband"])
def test_a_tuning_that_is_interrupted_again_and_again_gets_there(another, oracle):
    whole, other = another(), another()
    options = {"oracle": oracle, "ranges": STEPS, "candidates": 6, "confirm": 0}
    expected, ends = table(whole.run(**options)), None
    while ends is None:
        try:
            ends = other.run(**options, executor={"ends_at": 5})
        except KeyboardInterrupt:
            assert len(other.executors) < 50
    assert len(other.executors) > 3
    assert table(ends) == expected
    assert sorted(other.trained) == sorted(whole.trained)


def test_two_commands_share_one_tuning(another):
    expected = table(another().run())
    shared, results = another(), []
    threads = [threading.Thread(target=lambda: results.append(shared.run())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [table(each) for each in results] == [expected, expected]
    assert len(shared.trained) == len(set(shared.trained))
    for each in results[0].tried:
        kept = Store(StudyPaths(shared.directory / "candidates" / each.candidate.name)).records()
        assert sum(record.spent.steps for record in kept) == each.steps, "all runs were linked"


@pytest.mark.parametrize("fewer", [1, 2, 3])
def test_more_candidates_go_on_from_fewer(another, fewer):
    whole, other = another(), another()
    expected = whole.run(confirm=0)
    if fewer in (1, 3):  # whole batches
        first = other.run(confirm=0, candidates=fewer)
        assert (len(first.tried), first.ended) == (fewer, f"{fewer} candidates were tried")
        assert table(other.run(confirm=0)) == table(expected)
        assert sorted(other.trained) == sorted(whole.trained)
    else:
        other.run(confirm=0, candidates=fewer)
        assert len(other.run(confirm=0).tried) == 5


@pytest.mark.parametrize("fewer", [1, 2, 3])
def test_fewer_candidates_than_were_tried_are_the_first_of_them(simulation, fewer):
    whole = simulation.run(confirm=0)
    part = simulation.run(confirm=0, candidates=fewer)
    assert [each.candidate.values for each in part.tried] == [
        each.candidate.values for each in whole.tried[:fewer]
    ]
    assert simulation.executors[1].trained == []
    assert part.ended == f"{fewer} candidates were tried"


@pytest.mark.parametrize(("confirm", "budgets"), [(0, (700, 1500, 20_000)), (2, (2500, 3300, 20_000))])
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
    assert sum(each.steps for each in tuned.tried[:-1]) / 10 < 60 or tuned.saved > 0
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


def test_a_candidate_that_fails_is_recorded_and_the_others_go_on(simulation):
    def failing(spec):
        return "the training diverged" if spec.pruning and spec.pruning.rate == 0.75 else ""

    heard = Heard()
    tuned = simulation.run(oracle="grid", ranges=RATES, executor={"failing": failing}, observer=heard)
    (failed,) = [each for each in tuned.tried if each.failure]
    assert failed.candidate.values == {"pruning.rate": 0.75}
    assert failed.outcome is None
    assert failed.failure == "ticket replicate 0 round 1 failed: the training diverged"
    assert len(tuned.tried) == 4
    assert tuned.best is not None
    again = simulation.run(oracle="grid", ranges=RATES)
    assert table(again) == table(tuned), "it isn't trained again"
    assert simulation.executors[1].trained == []


def test_a_final_that_fails_sinks_its_candidate_alone(simulation):
    def failing(spec):
        return "no memory" if (spec.arm, spec.round) == ("final", 2) and spec.pruning.rate == 0.5 else ""

    tuned = simulation.run(oracle="grid", ranges={"pruning.rate": [0.5, 0.4]}, executor={"failing": failing})
    assert [bool(each.failure) for each in tuned.tried] == [True, True, False]
    assert tuned.tried[0].steps > 0
    assert tuned.best.candidate.values == {"pruning.rate": 0.4}


def test_values_that_dont_go_together_are_a_candidate_that_failed(simulation):
    schedule = "training.learning_rate_schedule"
    ranges = {f"{schedule}.name": ["constant", "cosine"], f"{schedule}.end": [0.0, 0.5]}
    study = {
        "training": {"steps": "100it", "evaluate_every": "20it", "learning_rate_schedule": {"name": "cosine"}}
    }
    tuned = simulation.run(study, oracle="grid", ranges=ranges)
    failed = {tuple(each.candidate.values.values()): each.failure for each in tuned.tried if each.failure}
    assert list(failed) == [("constant", 0.5)]
    assert "expected end with name: cosine only" in failed["constant", 0.5]
    assert len(tuned.tried) == 5
    number = next(each.candidate.name for each in tuned.tried if each.failure)
    assert not (simulation.directory / "candidates" / number).exists()
    assert table(simulation.run(study, oracle="grid", ranges=ranges)) == table(tuned)


@pytest.mark.parametrize("budget", [None, "100000it"])
def test_batches_larger_than_the_data_are_a_candidate_that_failed(simulation, budget):
    def refuses(study):
        if study.training.batch_size > 1200:
            raise LotteryError("Expected at least one batch of training examples.")

    ranges = {"training.batch_size": [30, 4096]}
    tuned = simulation.run(oracle="grid", ranges=ranges, budget=budget, executor={"refuses": refuses})
    assert [each.failure for each in tuned.tried] == [
        "",
        "",
        "Expected at least one batch of training examples.",
    ]
    assert tuned.tried[2].steps == 0


def test_a_study_that_fits_no_data_is_refused_and_leaves_nothing_behind(simulation):
    def refuses(study):
        raise LotteryError("Expected model.name to be one of lenet5.")

    with pytest.raises(LotteryError, match=r"^Expected model\.name to be one of lenet5\.$"):
        simulation.run(executor={"refuses": refuses})
    assert not simulation.directory.exists()


def test_data_that_cant_be_read_is_refused_and_leaves_nothing_behind(simulation, tmp_path):
    data = {"data": {"name": "npz", "path": str(tmp_path / "none.npz"), "validation": 200}}
    with pytest.raises(LotteryError, match=r"none\.npz"):
        simulation.run(data)
    assert not simulation.directory.exists()


def test_a_tuning_that_is_refused_later_keeps_what_it_has(simulation):
    simulation.run(candidates=1)
    with pytest.raises(LotteryError, match="another tuning"):
        simulation.run({"seed": 4})
    assert Store(TuningPaths(simulation.directory)).records()


def test_if_the_studys_own_setting_fails_the_others_are_compared_with_each_other(simulation):
    own = lambda spec: "diverged" if spec.pruning and spec.pruning.rate == 0.5 else ""  # noqa: E731
    tuned = simulation.run(ranges={"pruning.rate": [0.4, 0.75]}, oracle="grid", executor={"failing": own})
    assert tuned.tried[0].failure
    values = [each.outcome.value for each in tuned.tried[1:]]
    assert tuned.best.outcome.value == min(values)


def test_if_nothing_matches_nothing_is_recommended(simulation):
    tuned = simulation.run(executor={"accuracy": lambda spec: 0.9 if spec.round == 0 else 0.5})
    assert (tuned.best, tuned.confirmed) == (None, [])
    assert all(each.outcome.ticket is None for each in tuned.tried)


def test_the_best_is_confirmed_on_fresh_seeds_beside_the_studys_own_setting(simulation):
    heard = Heard()
    tuned = simulation.run(observer=heard, ranges=STEPS, confirm=2)
    assert tuned.best.candidate.values
    assert len(tuned.confirmed) == 2
    number, seeds = tuned.best.candidate.number, []
    for own, best in tuned.confirmed:
        assert (own.candidate.number, best.candidate.number) == (0, number)
        assert own.candidate.study.seed == best.candidate.study.seed
        assert own.candidate.fresh
        assert best.candidate.values == tuned.best.candidate.values
        assert own.outcome
        assert best.outcome
        seeds.append(own.candidate.study.seed)
    assert len({*seeds, tuned.tuning.study.seed}) == 3
    assert heard.batches[-1] == [f"{of:03}_seed{seed}" for of in (0, number) for seed in seeds]
    assert tuned.spent.steps > tuned.distinct
    assert len(tuned.tried) == 5, "trials on fresh seeds are no candidates"


def test_the_studys_own_setting_needs_no_confirmation(simulation):
    tuned = simulation.run(executor={"accuracy": lambda spec: DENSE if left_at_half(spec) else 0.5})
    assert tuned.best.candidate.values == {}
    assert tuned.confirmed == []


def left_at_half(spec):
    return not spec.pruning or spec.pruning.rate == 0.5


def test_another_machines_proposals_count_where_it_was_first(another):
    first, second = another(), another()
    options = {"oracle": "bayesian", "ranges": STEPS, "confirm": 0}
    expected = first.run(**options)
    paths = TuningPaths(second.directory)
    with pytest.raises(KeyboardInterrupt):
        second.run(**options, executor={"ends_at": 1})
    batches = json.loads(TuningPaths(first.directory).asked.read_text())
    batches[0][1]["values"] = {"search.steps": "33it"}
    paths.asked.write_text(json.dumps(batches[:1]))
    tuned = second.run(**options)
    values = [each.candidate.values["search.steps"] for each in tuned.tried[1:]]
    assert values[1] == "33it"
    assert values[:1] == [each.candidate.values["search.steps"] for each in expected.tried[1:2]]
    assert len(tuned.tried) == 5
    assert table(second.run(**options)) == table(tuned)


def test_every_candidate_is_a_study_of_its_own(simulation):
    tuned = simulation.run()
    names = [each.candidate.name for each in tuned.tried]
    names += [one.candidate.name for pair in tuned.confirmed for one in pair]
    assert sorted(path.name for path in (simulation.directory / "candidates").iterdir()) == sorted(names)
    for each in tuned.tried:
        paths = StudyPaths(simulation.directory / "candidates" / each.candidate.name)
        assert load(paths) == each.candidate.study
        assert sum(record.spent.steps for record in Store(paths).records()) == each.steps


def test_masks_are_kept_and_the_weights_of_tickets_alone(simulation):
    tuned = simulation.run({"storage": {"keep": "masks"}}, ranges=STEPS)
    store = Store(TuningPaths(simulation.directory))
    tickets = set()
    for each in (*tuned.tried, *(one for pair in tuned.confirmed for one in pair)):
        own = Store(StudyPaths(simulation.directory / "candidates" / each.candidate.name))
        for record in own.records():
            run, ticket = own.paths.run(record.key), each.outcome.ticket
            is_ticket = (record.spec.arm, record.spec.round) == ("final", ticket and ticket.round)
            assert run.masks.exists()
            assert run.weights_early_stop.exists() is is_ticket
            assert not run.weights_last.exists()
            tickets |= {record.key} if is_ticket else set()
    for record in store.records():
        run, is_dense = store.paths.run(record.key), record.spec.round == 0
        assert run.weights_early_stop.exists() is (is_dense or record.key in tickets)
        assert run.weights_last.exists() is is_dense


def test_all_is_kept_if_that_is_asked_for(simulation):
    tuned = simulation.run({"storage": {"keep": "weights"}}, candidates=3, confirm=0)
    for each in tuned.tried:
        own = Store(StudyPaths(simulation.directory / "candidates" / each.candidate.name))
        for record in own.records():
            assert own.paths.run(record.key).weights_last.exists()
            assert own.paths.run(record.key).weights_early_stop.exists()
