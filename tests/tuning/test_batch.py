"""Candidates side by side: what they share comes once, and one that doesn't fit leaves the others alone."""

from pathlib import Path

import pytest

from tests.tuning.made_up import candidate_of, down_to, finished, made_up, trained
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.method.plan import collect
from tf_lottery.tuning.batch import Batch
from tf_lottery.tuning.outcome import Front

TUNING = made_up()


def batch(*candidates, references=None, tuning=TUNING):
    return Batch(candidates, tuning.tune, Front(tuning.tune), references or {})


def three():
    own = [{}, {"pruning__rate": 0.75}, {"search__steps": "40it"}]
    return [candidate_of(TUNING, number, **values) for number, values in enumerate(own)]


class Checking:
    """An executor that refuses some candidates."""

    def __init__(self, refused):
        self.refused, self.checked = refused, []

    def check(self, study):
        self.checked.append(study.name)
        if error := self.refused.get(study.name):
            raise error


def test_runs_that_candidates_share_come_once():
    coming = batch(*three()).plan([])
    assert [(spec.arm, spec.training.steps) for spec in coming] == [
        ("final", "100it"),
        ("ticket", "20it"),
        ("ticket", "40it"),
    ]


def test_a_shared_dense_network_keeps_the_rewind_points_of_all():
    tuning = made_up({"rewind": {"to": "5it"}})
    late = candidate_of(tuning, 1, rewind__to="10it")
    coming = batch(candidate_of(tuning), late, tuning=tuning).plan([])
    dense = next(spec for spec in coming if spec.arm == "ticket")
    assert dense.snapshots == ("0it", "5it", "10it")
    assert len(coming) == 2


def test_a_dense_network_keeps_the_rewind_points_that_later_candidates_may_ask_for():
    """Those in epochs can't be compared with its last step, and one is after it."""
    ranges = {"rewind.to": ["0it", "7it", "20it", "30it", "1ep"]}
    tuning = made_up(ranges=ranges)
    coming = batch(candidate_of(tuning), tuning=tuning).plan([])
    assert {spec.training.steps: spec.snapshots for spec in coming} == {
        "20it": ("0it", "7it", "20it"),
        "100it": ("0it", "7it", "20it", "30it"),
    }
    a_range = made_up(ranges={"rewind.to": {"min": "0it", "max": "10it"}})
    assert {spec.snapshots for spec in batch(candidate_of(a_range), tuning=a_range).plan([])} == {("0it",)}


def test_a_batch_is_trained_to_the_end_of_each_candidate():
    candidates, records = three(), []
    work = batch(*candidates)
    while coming := work.plan(records):
        records += [finished(spec, down_to(0.25)) for spec in coming]
    assert len({record.key for record in records}) == len(records)
    for candidate in candidates:
        alone, at = trained(candidate, TUNING.tune, down_to(0.25))
        assert work.stage(candidate, records) == at
        assert {record.key for record in alone} <= {record.key for record in records}
        assert len(collect(candidate.study, records)) == len(alone)
    assert {record.key for record in work.collect(records)} == {record.key for record in records}


def test_the_search_goes_first():
    work = batch(*three())
    assert [work.goes_first(spec) for spec in work.plan([])] == [False, True, True]
    assert not work.ends_together()


def test_candidates_are_held_to_the_dense_network_of_their_seed():
    candidate = candidate_of(TUNING)
    records, _ = trained(candidate, TUNING.tune)
    assert batch(candidate).stage(candidate, records).outcome.ticket
    assert batch(candidate, references={0: 0.99}).stage(candidate, records).outcome.ticket is None
    assert batch(candidate, references={7: 0.99}).stage(candidate, records).outcome.ticket


def test_a_candidate_that_doesnt_fit_is_dropped_with_the_reason():
    work = batch(*three())
    work.check(Checking({"made_up_001": LotteryError("too narrow")}))
    assert work.refused == {(1, 0): "too narrow"}
    assert {spec.training.steps for spec in work.plan([])} == {"100it", "20it", "40it"}
    assert len(work.candidates) == 3
    work.check(executor := Checking({"made_up_002": LotteryError("too long")}))
    assert executor.checked == ["made_up_000", "made_up_002"], "what was dropped isn't looked at again"
    assert {spec.training.steps for spec in work.plan([])} == {"100it", "20it"}


def test_a_candidate_whose_values_dont_go_together_is_never_planned():
    from dataclasses import replace

    wrong = replace(candidate_of(TUNING, 1, search__steps="40it"), refused="they don't go together")
    work = batch(candidate_of(TUNING), wrong)
    assert work.refused == {(1, 0): "they don't go together"}
    assert {spec.training.steps for spec in work.plan([])} == {"100it", "20it"}
    work.check(executor := Checking({}))
    assert executor.checked == ["made_up_000"]


def test_a_study_that_doesnt_fit_by_itself_is_refused():
    with pytest.raises(LotteryError, match="no such layer"):
        batch(*three()).check(Checking({"made_up_000": LotteryError("no such layer")}))


@pytest.mark.parametrize("error", [StudyError("disk full"), DamagedError("bits", "key", Path("masks.npz"))])
def test_what_ends_the_whole_tuning_is_no_candidates_fault(error):
    with pytest.raises(type(error)):
        batch(*three()).check(Checking({"made_up_001": error}))


def test_the_same_setting_on_two_seeds_is_told_apart():
    first, second = (
        candidate_of(TUNING, 1, seed=5, pruning__rate=0.75),
        candidate_of(TUNING, 1, seed=6, pruning__rate=0.75),
    )
    work = batch(first, second)
    work.check(Checking({"made_up_001_seed6": LotteryError("wrong")}))
    assert work.refused == {(1, 6): "wrong"}
    assert len(work.plan([])) == 2
