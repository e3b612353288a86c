"""The fork of round 0: the dense network again, in another order of the examples."""

import pytest

from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.errors import LotteryError
from tf_lottery.method.ledger import ledger
from tf_lottery.method.matching import main_arm, matching_round
from tf_lottery.method.plan import collect, expected_runs, foreseen, plan, spent
from tf_lottery.method.results import Results

LATE = {"like": "ticket", "rewind": {"to": "500it"}}


def forked(rounds=(0, 1), **settings):
    arms = {"ticket": {}, "fork": {"rounds": list(rounds), "trials": 2}}
    return fake_study(**{"arms": arms} | settings)


def of(specs, arm, round):
    return next(spec for spec in specs if (spec.arm, spec.round) == (arm, round))


def test_it_waits_for_the_dense_run_and_comes_before_round_1():
    study = forked()
    assert [spec.arm for spec in plan(study, [])] == ["ticket"]
    places = [(spec.arm, spec.round, spec.trial) for spec in foreseen(study)]
    assert places[:4] == [("ticket", 0, 0), ("fork", 0, 0), ("fork", 0, 1), ("ticket", 1, 0)]
    records = collect(study, run_to_the_end(study))
    assert expected_runs(study) == len(records) == 8
    assert plan(study, records) == []


def test_it_starts_where_the_dense_run_was_with_its_optimizer_and_no_mask():
    specs = foreseen(forked(arms={"ticket": {}, "late": LATE, "fork": {"on": "late", "rounds": [0]}}))
    dense, fork = of(specs, "ticket", 0), of(specs, "fork", 0)
    assert (fork.start, fork.root, fork.rewind.to) == ("rewind", dense.key, "500it")
    assert fork.rewind.optimizer == "restore"
    assert "500it" in dense.snapshots
    assert not fork.has_masks
    assert fork.order_seed != dense.order_seed
    assert (fork.data, fork.model, fork.training) == (dense.data, dense.model, dense.training)


def test_where_weights_are_trained_on_it_starts_at_step_0():
    arms = {
        "kept": {"like": "ticket", "rewind": {"weights": "trained"}},
        "fork": {"on": "kept", "rounds": [0]},
    }
    assert of(foreseen(forked(arms=arms)), "fork", 0).rewind.to == "0it"


def test_it_is_no_dense_run_that_others_are_compared_with():
    study = forked(rounds=[0, 2])
    worse = run_to_the_end(study, validation=lambda spec: 0.2 if spec.arm == "fork" else 0.97)
    records = collect(study, worse)
    assert main_arm(reversed(records)) == "ticket"
    assert matching_round(records) == matching_round(reversed(records)) == 3
    assert Results(records).rounds()[0].spec.arm == "ticket"
    assert [record.spec.round for record in Results(records).of_arm("fork")] == [0, 0, 2, 2]


def test_other_runs_have_the_keys_that_they_have_without_it():
    without = {spec.key for spec in foreseen(forked(rounds=[1]))}
    assert {spec.key for spec in foreseen(forked())} - without == {
        spec.key for spec in foreseen(forked()) if (spec.arm, spec.round) == ("fork", 0)
    }


@pytest.mark.parametrize(("to", "runs"), [("0it", 0), ("500it", 1)])
def test_its_search_is_the_dense_run_unless_it_starts_at_step_0(to, runs):
    study = forked(rounds=[0], rewind={"to": to})
    entries = [
        each for each in ledger(collect(study, run_to_the_end(study))) if each.record.spec.arm == "fork"
    ]
    assert [each.search.runs for each in entries] == [runs, runs]


def test_nothing_builds_on_it():
    study = forked()
    records = run_to_the_end(study)
    forks = {record.key for record in records if record.spec.arm == "fork"}
    assert forks <= spent(study, records)


def test_a_study_goes_on_with_it():
    before = run_to_the_end(forked(rounds=[1]))
    assert [(spec.arm, spec.round) for spec in plan(forked(), before)] == [("fork", 0)] * 2


def test_a_dense_run_that_lacks_the_rewind_point_comes_first():
    arms = {"late": LATE, "fork": {"on": "late", "rounds": [0]}}
    dense = fake_record(plan(forked(arms={"ticket": {}}), [])[0])
    study = forked(arms=arms, pruning={"rounds": 0})
    (first,) = plan(study, [dense])
    assert (first.key, set(first.snapshots)) == (dense.key, {"0it", "500it"})


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"random_reinit": {"rounds": [0]}}, "only a fork has a round 0"),
        (
            {"random_reinit": {}, "fork": {"on": "random_reinit", "rounds": [0]}},
            "which arm 'random_reinit' isn't",
        ),
        ({"fork": {"rounds": [0], "training": {"batch_size": 30}}}, "has training of its own"),
    ],
)
def test_round_0_of_anything_else_is_refused(arms, message):
    with pytest.raises(LotteryError, match=message):
        foreseen(fake_study(arms=arms))


def test_with_a_cheaper_search_it_is_refused():
    arms = {"final": {}, "fork": {"rounds": [0]}}
    with pytest.raises(LotteryError, match="is in a study with a search"):
        foreseen(fake_study(arms=arms, search={"steps": "5it"}))
