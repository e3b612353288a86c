"""Which runs are compared, and what is said where there are none."""

import pytest

from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.analysis.forks import pairs, pairs_to_compare
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect, plan


def finished(**settings):
    study = fake_study(**settings)
    return study, collect(study, run_to_the_end(study))


def compared(study, records):
    return [(pair.arm, pair.names, pair.second.round) for pair in pairs(study, records)]


def test_a_study_without_a_fork_is_told_what_to_add():
    study, records = finished()
    with pytest.raises(LotteryError, match=r"Add arms: \{ticket: \{\}, fork: \{rounds: \[0, 3\]\}\}"):
        pairs_to_compare(study, records)


def test_a_fork_that_is_not_finished_is_waited_for():
    study = fake_study(arms={"fork": {}})
    with pytest.raises(LotteryError, match="No run of fork is finished"):
        pairs_to_compare(study, [fake_record(plan(study, [])[0])])


def test_a_fork_that_differs_in_more_than_the_order_has_only_its_trials():
    arms = {"fork": {"rounds": [2], "training": {"learning_rate": 0.1}}}
    study, records = finished(arms=arms)
    with pytest.raises(LotteryError, match="more than the order of the examples. Give arm 'fork' trials: 2"):
        pairs_to_compare(study, records)
    arms["fork"]["trials"] = 2
    assert compared(*finished(arms=arms)) == [("fork", ("fork", "fork#2"), 2)]


def test_masks_that_were_learned_in_the_training_itself_are_not_those_of_one_start():
    arms = {"rigl": {"rounds": [1]}, "fork": {"on": "rigl", "trials": 2}}
    assert compared(*finished(arms=arms)) == [("fork", ("fork", "fork#2"), 1)]


def test_controls_are_forked_too():
    arms = {"random_reinit": {"rounds": [2]}, "fork": {"on": "random_reinit"}}
    assert compared(*finished(arms=arms)) == [("fork", ("random_reinit", "fork"), 2)]


def test_the_dense_network_is_that_of_the_same_replicate():
    study, records = finished(arms={"fork": {"rounds": [0]}}, replicates=2)
    found = pairs(study, records)
    assert [pair.names for pair in found] == [("ticket", "fork")] * 2
    assert all(pair.first.key == pair.second.root for pair in found)
    assert [pair.second.replicate for pair in found] == [0, 1]
