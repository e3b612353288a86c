"""Tunings that are interrupted, repeated and shared, whose executor trains nothing."""

import json
import threading

import pytest

from tests.tuning.simulated import RATES, STEPS, Heard, table
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.tuning.paths import TuningPaths


def test_a_finished_tuning_trains_nothing_again(simulation):
    first = simulation.run()
    again = simulation.run(observer=(heard := Heard()))
    assert table(again) == table(first)
    assert (heard.done, simulation.executors[1].trained, simulation.executors[1].checked) == ([], [], [])


def test_wherever_it_is_interrupted_it_comes_to_the_same_and_trains_nothing_twice(another):
    whole = another()
    expected = table(whole.run(ranges=RATES))
    total = len(whole.trained)
    for ends_at in (0, total // 2, total - 5, total - 1):
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
