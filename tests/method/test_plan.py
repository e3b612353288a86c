import random

import pytest

from tests.fakes import fake_record, fake_study, halved, run_to_the_end
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect, expected_runs, foreseen, plan, spent

ONLY_TICKETS = {"ticket": {}}


def labels(specs):
    return [(spec.arm, spec.replicate, spec.round, spec.trial) for spec in specs]


def tickets(records):
    return [record.spec.round for record in records if record.spec.arm == "ticket"]


def keys(records):
    return {record.key for record in records}


def finish(study, records, **of):
    """Finish the first waiting run whose labels fit."""
    spec = next(s for s in plan(study, records) if all(getattr(s, name) == v for name, v in of.items()))
    records.append(fake_record(spec))


def test_the_dense_networks_come_first_and_nothing_else_until_they_are_finished():
    assert labels(plan(fake_study(replicates=3), [])) == [
        ("ticket", 0, 0, 0),
        ("ticket", 1, 0, 0),
        ("ticket", 2, 0, 0),
    ]


def test_a_finished_round_opens_the_next_one_with_its_controls():
    study, records = fake_study(arms={"random_reinit": {"trials": 2}}), []
    finish(study, records)
    assert labels(plan(study, records)) == [
        ("ticket", 0, 1, 0),
        ("random_reinit", 0, 1, 0),
        ("random_reinit", 0, 1, 1),
    ]
    finish(study, records, arm="ticket")
    assert ("ticket", 0, 2, 0) in labels(plan(study, records))
    assert ("random_reinit", 0, 1, 0) in labels(plan(study, records))


def test_a_control_does_not_hold_up_or_open_anything():
    study, records = fake_study(), []
    finish(study, records)
    finish(study, records, arm="random_reinit")
    assert labels(plan(study, records)) == [("ticket", 0, 1, 0)]


def test_replicates_do_not_wait_for_each_other():
    study, records = fake_study(replicates=2, arms=ONLY_TICKETS), []
    finish(study, records, replicate=1)
    assert labels(plan(study, records)) == [("ticket", 0, 0, 0), ("ticket", 1, 1, 0)]


def test_what_waits_is_in_order_of_replicate_round_arm_and_trial():
    study = fake_study(replicates=2, arms={"random_reinit": {"trials": 2}})
    whole = labels(record.spec for record in collect(study, run_to_the_end(study)))
    rounds = [
        [("ticket", replicate, round, 0)]
        + [("random_reinit", replicate, round, trial) for trial in (0, 1) if round]
        for replicate in (0, 1)
        for round in range(4)
    ]
    assert whole == [run for runs in rounds for run in runs]


def test_rounds_are_prunings():
    assert tickets(run_to_the_end(fake_study())) == [0, 1, 2, 3]
    assert tickets(run_to_the_end(fake_study(pruning={"rounds": 0}))) == [0]


def test_a_finished_study_has_nothing_waiting_whatever_the_order_of_records():
    study = fake_study(replicates=2)
    records = run_to_the_end(study)
    random.Random(0).shuffle(records)
    assert plan(study, records) == []


def test_the_order_of_records_does_not_matter_to_what_is_collected():
    study = fake_study(replicates=2)
    records = run_to_the_end(study)
    turned = collect(study, records[::-1])
    assert [record.key for record in turned] == [record.key for record in collect(study, records)]
    assert keys(turned) == keys(records)


def test_target_density_stops_after_the_first_round_at_or_below_it():
    def last(target):
        return tickets(run_to_the_end(fake_study(pruning={"target_density": target})))[-1]

    assert last(0.25) == 2
    assert last(0.24) == 3
    assert last(0.9) == 1


def test_the_earlier_of_two_stop_rules_counts():
    assert tickets(run_to_the_end(fake_study(pruning={"rounds": 2, "target_density": 0.01})))[-1] == 2
    assert tickets(run_to_the_end(fake_study(pruning={"rounds": 9, "target_density": 0.25})))[-1] == 2


def drop_study(drop, replicates=1, **pruning):
    pruning = {"rounds": 6, "max_accuracy_drop": drop} | pruning
    return fake_study(pruning=pruning, replicates=replicates, arms=ONLY_TICKETS)


def test_max_accuracy_drop_stops_after_the_first_round_below():
    by_round = [0.97, 0.98, 0.95, 0.94, 0.99]
    records = run_to_the_end(drop_study(0.025), validation=lambda spec: by_round[spec.round])
    assert tickets(records) == [0, 1, 2, 3]


def test_a_drop_of_exactly_the_maximum_goes_on():
    by_round = [0.98, 0.97, 0.5]
    records = run_to_the_end(drop_study(0.01), validation=lambda spec: by_round[spec.round])
    assert tickets(records) == [0, 1, 2]


def test_max_accuracy_drop_is_on_the_mean_over_replicates():
    def one_fell(spec):
        return 0.90 if (spec.replicate, spec.round) == (0, 1) else 0.97

    study = drop_study(0.05, replicates=2, rounds=2)
    assert sorted(tickets(run_to_the_end(study, validation=one_fell))) == [0, 0, 1, 1, 2, 2]
    study = drop_study(0.03, replicates=2, rounds=2)
    assert sorted(tickets(run_to_the_end(study, validation=one_fell))) == [0, 0, 1, 1]


def test_max_accuracy_drop_waits_for_all_replicates():
    study, records = drop_study(0.05, replicates=2), []
    finish(study, records, replicate=0)
    assert labels(plan(study, records)) == [("ticket", 1, 0, 0)]
    finish(study, records, replicate=1)
    finish(study, records, replicate=0)
    assert labels(plan(study, records)) == [("ticket", 1, 1, 0)]
    finish(study, records, replicate=1)
    assert labels(plan(study, records)) == [("ticket", 0, 2, 0), ("ticket", 1, 2, 0)]


def test_the_test_set_does_not_stop_anything():
    study = drop_study(0.01, rounds=2)
    records = []
    while waiting := plan(study, records):
        records.append(fake_record(waiting[0], early_stop_test_accuracy=0.1 if waiting[0].round else 0.99))
    assert tickets(records) == [0, 1, 2]


def test_a_round_that_prunes_nothing_ends_the_chain():
    study = fake_study(pruning={"target_density": 0.001}, arms=ONLY_TICKETS)
    records = run_to_the_end(study, remaining=lambda spec: max(halved(spec), 256))
    assert tickets(records) == [0, 1, 2, 3]
    assert plan(study, records) == []


def test_random_reinit_keeps_to_its_rounds_and_trials():
    study = fake_study(arms={"random_reinit": {"rounds": [1, 3, 9], "trials": 2}})
    controls = [r.spec for r in run_to_the_end(study) if r.spec.arm == "random_reinit"]
    assert [(spec.round, spec.trial) for spec in controls] == [(1, 0), (1, 1), (3, 0), (3, 1)]


@pytest.mark.parametrize(
    "more",
    [
        {"pruning": {"rounds": 5}},
        {"replicates": 3},
        {"arms": {"random_reinit": {"trials": 3}}},
        {"pruning": {"rounds": 3, "target_density": 0.01}},
        {"tolerance": 0.01, "description": "longer"},
    ],
    ids=str,
)
def test_a_study_that_goes_further_keeps_its_finished_runs(more):
    before = run_to_the_end(fake_study())
    after = run_to_the_end(fake_study(**more), records=before)
    assert keys(before) <= keys(collect(fake_study(**more), after))
    assert len(after) == len(keys(after))


def test_a_further_arm_keeps_the_tickets():
    before = run_to_the_end(fake_study(arms=ONLY_TICKETS))
    assert tickets(before) == [0, 1, 2, 3]
    assert len(run_to_the_end(fake_study(), records=before)) == len(before) + 3


def test_records_of_other_studies_do_no_harm():
    others = run_to_the_end(fake_study(seed=1, replicates=2))
    study = fake_study(replicates=2)
    assert labels(plan(study, others)) == labels(plan(study, []))
    assert collect(study, others) == []
    records = run_to_the_end(study, records=others)
    assert len(collect(study, records)) == len(records) - len(others) == expected_runs(study)


def test_records_of_a_longer_study_are_collected_as_far_as_the_shorter_goes():
    records = run_to_the_end(fake_study(pruning={"rounds": 5}, replicates=2))
    short = fake_study(pruning={"rounds": 2})
    assert plan(short, records) == []
    assert labels(record.spec for record in collect(short, records)) == [
        ("ticket", 0, 0, 0),
        ("ticket", 0, 1, 0),
        ("random_reinit", 0, 1, 0),
        ("ticket", 0, 2, 0),
        ("random_reinit", 0, 2, 0),
    ]


def test_collected_records_are_labelled_with_their_place_in_this_study():
    study = fake_study(arms=ONLY_TICKETS)
    records = run_to_the_end(study)
    other = records[0].spec.model_copy(update={"arm": "another", "replicate": 7})
    found = collect(study, [records[0].model_copy(update={"spec": other})])
    assert labels(record.spec for record in found) == [("ticket", 0, 0, 0)]


def test_a_run_whose_record_is_gone_is_asked_for_again():
    study = fake_study(arms=ONLY_TICKETS)
    records = run_to_the_end(study)
    assert labels(plan(study, records[:2] + records[3:])) == [("ticket", 0, 2, 0)]


def test_a_study_whose_data_is_not_known_is_refused():
    with pytest.raises(LotteryError, match=r"data\.digest"):
        plan(fake_study(data={"name": "digits"}), [])


def test_an_unknown_arm_is_refused_with_the_known_ones():
    with pytest.raises(LotteryError, match=r"ticket, .*random_reinit.*'one_shoot'"):
        plan(fake_study(arms={"one_shoot": {}}), [])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pruning": {"rounds": 0}},
        {"replicates": 3, "arms": ONLY_TICKETS},
        {"replicates": 2, "arms": {"random_reinit": {"rounds": [1, 3, 9], "trials": 3}}},
        {"arms": {"random_reinit": {"rounds": [2, 2]}}},
    ],
    ids=str,
)
def test_expected_runs_is_what_a_full_execution_trains(settings):
    study = fake_study(**settings)
    assert expected_runs(study) == len(run_to_the_end(study))


def test_expected_runs_is_unknown_without_a_number_of_rounds():
    assert expected_runs(fake_study(pruning={"target_density": 0.1})) is None


def test_a_rewind_point_that_a_dense_run_lacks_has_it_trained_again_keeping_both():
    study = fake_study(pruning={"rounds": 1}, arms={})
    (dense,) = plan(study, [])
    record = fake_record(dense)
    late = study.model_copy(update={"rewind": study.rewind.model_copy(update={"to": "500it"})})
    (again,) = plan(late, [record])
    assert again.key == dense.key
    assert again.snapshots == ("0it", "500it")
    assert plan(study, [fake_record(again)]) == plan(study, [record])


def test_two_arms_that_ask_for_the_same_run_share_it(monkeypatch):
    from tf_lottery.method import arms

    def twin(place):
        return place.same.model_copy(update={"arm": place.arm})

    monkeypatch.setitem(arms.ARMS, "twin", twin)
    study = fake_study(pruning={"rounds": 1}, arms={"twin": {}})
    dense = fake_record(plan(study, [])[0])
    (shared,) = plan(study, [dense])
    records = collect(study, [dense, fake_record(shared)])
    assert [record.spec.arm for record in records] == ["ticket", "ticket", "twin"]


TWO_CHAINS = {
    "ticket": {},
    "drawn": {"like": "ticket", "pruning": {"criterion": "random"}, "rewind": {"to": "500it"}},
    "random_reinit": {"rounds": [2]},
    "drawn_reinit": {"like": "random_reinit", "on": "drawn", "trials": 2},
}


def test_a_second_chain_shares_the_dense_run_and_has_controls_of_its_own():
    study = fake_study(pruning={"rounds": 2}, arms=TWO_CHAINS, replicates=2)
    records = collect(study, run_to_the_end(study))
    expected = [
        *[
            ("ticket", 0, 0),
            ("ticket", 1, 0),
            ("drawn", 1, 0),
            ("drawn_reinit", 1, 0),
            ("drawn_reinit", 1, 1),
        ],
        *[("ticket", 2, 0), ("drawn", 2, 0), ("random_reinit", 2, 0)],
        *[("drawn_reinit", 2, 0), ("drawn_reinit", 2, 1)],
    ]
    placed = [(r.spec.arm, r.spec.round, r.spec.trial) for r in records if r.spec.replicate == 1]
    assert placed == expected
    assert len(records) == 2 * len(expected) == expected_runs(study) == len(foreseen(study))
    dense, *others = [record.spec for record in records if record.spec.replicate == 1]
    assert dense.snapshots == ("0it", "500it"), "both chains' rewind points"
    assert {spec.root for spec in others} == {dense.key}
    drawn = {spec.round: spec for spec in others if spec.arm == "drawn"}
    assert drawn[1].pruning.criterion == "random"
    assert drawn[1].rewind.to == "500it"
    assert drawn[2].parent == drawn[1].key
    for spec in others:
        if spec.arm == "drawn_reinit":
            assert (spec.parent, spec.pruning) == (drawn[spec.round].parent, drawn[spec.round].pruning)


def test_a_study_needs_no_arm_called_ticket():
    study = fake_study(pruning={"rounds": 1}, arms={"mine": {"like": "ticket"}})
    assert list(study.arms) == ["mine"]
    records = collect(study, run_to_the_end(study))
    assert [(record.spec.arm, record.spec.round) for record in records] == [("mine", 0), ("mine", 1)]
    before = run_to_the_end(fake_study(pruning={"rounds": 1}, arms=ONLY_TICKETS))
    assert plan(study, before) == [], "it shares the runs of the arm that it is like"


def test_last_weights_that_a_second_chain_needs_are_not_spent():
    study = fake_study(pruning={"rounds": 2}, arms=TWO_CHAINS)
    specs = {(spec.arm, spec.round, spec.trial): spec for spec in foreseen(study)}
    first = [fake_record(specs["ticket", round, 0]) for round in (0, 1, 2)]
    assert spent(study, first[:1]) == set()
    assert spent(study, first[:2]) == set(), "the other chain goes on from the dense run"
    control = fake_record(specs["random_reinit", 2, 0])
    assert spent(study, [*first, control]) == {first[1].key, control.key}
    every = [fake_record(spec) for spec in specs.values()]
    last = {specs["ticket", 2, 0].key, specs["drawn", 2, 0].key}
    assert spent(study, every) == {record.key for record in every} - last


def test_masks_that_no_recipe_gives_are_waited_for(monkeypatch):
    from tf_lottery.method import arms

    def grown(place):  # as gradual pruning does, its masks change while it trains
        settings = {"parent": None, "pruning": None, "start": "initialize", "init_seed": 5, "arm": place.arm}
        return place.same.model_copy(update=settings)

    monkeypatch.setitem(arms.ARMS, "grown", grown)
    study = fake_study(
        pruning={"rounds": 1}, arms={"grown": {}, "grown_reinit": {"like": "random_reinit", "on": "grown"}}
    )
    dense = fake_record(plan(study, [])[0])
    ready = plan(study, [dense])
    assert labels(ready) == [("ticket", 0, 1, 0), ("grown", 0, 1, 0)]
    (control,) = plan(study, [dense, *map(fake_record, ready)])
    assert (control.arm, control.masks_of, control.parent) == ("grown_reinit", ready[1].key, None)
    assert control.start == "reinitialize"


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"a": {"like": "random_reinit", "on": "nowhere"}}, r"arms\.a\.on.*'nowhere'"),
        ({"a": {"like": "random_reinit", "on": "b"}, "b": {"like": "random_reinit", "on": "a"}}, "no circle"),
        ({"a": {"like": "ticket", "pruning": {"rate": 2}}}, r"arms\.a\.pruning\.rate.*less than 1"),
        ({"a": {"like": "ticket", "rewind": {"too": "0it"}}}, r"arms\.a\.rewind\.too"),
    ],
)
def test_arms_that_do_not_fit_are_refused(arms, message):
    with pytest.raises(ValueError, match=message):
        fake_study(arms=arms)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"ticket": {"like": "random_reinit"}}, "'ticket' can't be like 'random_reinit'"),
        (
            {"random_reinit": {"pruning": {"rate": 0.5}}},
            "'random_reinit' has the masks of arm 'ticket' and",
        ),
        ({"random_reinit": {"rewind": {"to": "2it"}}}, "takes no rewind of its own"),
        ({"a": {"like": "nothing"}}, r"arms\.a\.like of ticket, .*random_reinit.*'nothing'"),
        (
            {"a": {"like": "ticket", "on": "b"}, "b": {"like": "ticket"}},
            "'a' .* takes no rounds, trials or on",
        ),
    ],
)
def test_arms_without_a_function_and_chains_that_skip_rounds_are_refused(arms, message):
    with pytest.raises(LotteryError, match=message):
        plan(fake_study(arms=arms), [])
