"""The ledger, in numbers that are added by hand."""

import pytest

from tests.fakes import fake_record, fake_spec, fake_study, run_to_the_end
from tf_lottery.method.ledger import Spending, ledger, lines, spent_by
from tf_lottery.method.plan import collect
from tf_lottery.method.spent import Spent, training_flops

NONE = Spending(None, None, None, None, None)


def spent(steps, flops=None):
    """What a training of so many steps cost: a quarter of the FLOPs remain, a step takes 2 seconds."""
    remaining = None if flops is None else flops // 4
    return Spent(
        steps=steps, flops_dense=flops, flops_remaining=remaining, seconds=2 * steps, seconds_total=1
    )


def with_costs(records, cost=lambda spec: spent(100, 4000)):
    return [record.model_copy(update={"spent": cost(record.spec)}) for record in records]


def studied(cost=lambda spec: spent(100, 4000), **settings):
    """The finished runs of a study, with what each cost."""
    study = fake_study(**{"arms": {"ticket": {}}} | settings)
    return with_costs(collect(study, run_to_the_end(study)), cost)


def by_place(entries):
    return {(e.record.spec.arm, e.record.spec.replicate, e.record.spec.round): e for e in entries}


def test_a_tickets_search_is_every_round_before_it():
    steps = {0: 100, 1: 80, 2: 70, 3: 60}
    records = studied(lambda spec: spent(steps[spec.round], 10 * steps[spec.round]))
    entries = by_place(ledger(records))
    search = [entries["ticket", 0, round].search for round in range(4)]
    assert [each.steps for each in search] == [0, 100, 180, 250]
    assert [each.runs for each in search] == [0, 1, 2, 3]
    assert [each.flops_dense for each in search] == [0, 1000, 1800, 2500]
    assert [each.flops_remaining for each in search] == [0, 250, 450, 625]
    assert [each.seconds for each in search] == [0, 200, 360, 500]
    last = entries["ticket", 0, 3]
    assert last.own == Spending(1, 60, 600, 150, 120)
    assert last.all == Spending(4, 310, 3100, 775, 620)


def test_a_control_has_the_search_of_the_ticket_whose_masks_it_has():
    entries = by_place(ledger(studied(arms={"ticket": {}, "random_reinit": {}})))
    for round in (1, 2, 3):
        assert entries["random_reinit", 0, round].search == entries["ticket", 0, round].search


def test_masks_that_only_a_training_gives_are_part_of_the_search():
    dense = fake_record(fake_spec())
    gradual = fake_record(fake_spec("gradual", 1, root=dense.key))
    control = fake_record(fake_spec("control", 1, root=dense.key, masks_of=gradual.key))
    entries = ledger(with_costs([dense, gradual, control]))
    assert [entry.search.steps for entry in entries] == [0, 100, 200]


def test_a_run_that_is_reached_on_two_ways_counts_once():
    """The dense run is root and parent of round 1, and root of round 2."""
    records = studied(pruning={"rounds": 2})
    assert records[1].spec.root == records[1].spec.parent == records[2].spec.root
    assert [entry.search.runs for entry in ledger(records)] == [0, 1, 2]


def test_chains_of_other_arms_and_replicates_are_not_in_it():
    arms = {"ticket": {}, "drawn": {"like": "ticket", "pruning": {"criterion": "random"}}}
    entries = by_place(ledger(studied(arms=arms, replicates=2)))
    assert {e.search.runs for (_, _, round), e in entries.items() if round == 3} == {3}


def test_a_predecessor_that_is_missing_makes_the_search_unknown():
    records = studied()
    entries = by_place(ledger([record for record in records if record.spec.round != 1]))
    assert entries["ticket", 0, 0].search == Spending(0, 0, 0, 0, 0)
    assert entries["ticket", 0, 2].search == entries["ticket", 0, 3].search == NONE
    assert entries["ticket", 0, 3].own.steps == 100
    assert entries["ticket", 0, 3].all == NONE


def test_there_are_no_partial_sums():
    """The record of round 1 is of an earlier version, which noted steps and seconds."""
    records = studied(lambda spec: None if spec.round == 1 else spent(100, 4000))
    entries = by_place(ledger(records))
    assert entries["ticket", 0, 1].own == Spending(1, 1000, None, None, 1.0)
    assert entries["ticket", 0, 1].search == Spending(1, 100, 4000, 1000, 200)
    assert entries["ticket", 0, 3].search == Spending(3, 1200, None, None, 401)
    assert spent_by(records) == Spending(4, 1300, None, None, 601)


def test_steps_of_an_earlier_versions_record_are_counted_from_its_rewind_point():
    record = fake_record(fake_spec(round=1), first_step=400, seconds={"total": 3.0})
    assert Spending.of(record) == Spending(1, 600, None, None, None)


def test_flops_that_one_run_lacks_leave_the_steps_alone():
    records = studied(lambda spec: spent(100, None if spec.round == 2 else 4000))
    found = by_place(ledger(records))["ticket", 0, 3].search
    assert found == Spending(3, 300, None, None, 600)


def test_lines_are_means_over_replicates_whose_trials_are_averaged_first():
    def cost(spec):
        return spent(100 + 10 * spec.trial + 40 * spec.replicate)

    arms = {"ticket": {}, "random_reinit": {"trials": 3, "rounds": [2]}}
    found = lines(ledger(studied(cost, arms=arms, replicates=2)))
    assert [(line.arm, line.round) for line in found] == [
        *(("ticket", round) for round in range(4)),
        ("random_reinit", 2),
    ]
    assert {line.replicates for line in found} == {2}
    assert found[3].own.steps == (100 + 140) / 2
    assert found[3].search.steps == (300 + 420) / 2
    assert found[3].density == 0.125
    assert found[4].own.steps == ((100 + 110 + 120) / 3 + (140 + 150 + 160) / 3) / 2
    assert found[4].search.steps == found[2].search.steps == (200 + 280) / 2
    assert found[4].own.flops_dense is None


def test_the_effective_density_of_a_line_is_known_if_that_of_every_run_is():
    records = studied(replicates=2)
    connected = [
        record.model_copy(
            update={"effective_remaining": record.weights_remaining // 2 + record.spec.replicate}
        )
        for record in records
    ]
    found = lines(ledger(connected))
    assert [line.effective_density for line in found] == [
        ((1024 >> round) // 2 + 0.5) / 1024 for round in range(4)
    ]
    assert connected[0].effective_density == 0.5
    assert lines(ledger([records[0], *connected[1:]]))[0].effective_density is None


def test_the_study_counts_each_run_once():
    records = studied(replicates=2)
    again = records[3].model_copy(update={"spec": records[3].spec.model_copy(update={"arm": "same"})})
    assert spent_by([*records, again]) == Spending(8, 800, 32_000, 8000, 1600)


@pytest.mark.parametrize(("forward", "examples", "flops"), [(7, 11, 231), (None, 11, None), (7, None, None)])
def test_a_training_takes_three_times_the_forward_flops(forward, examples, flops):
    assert training_flops(forward, examples) == flops


def test_fields_that_a_later_version_adds_are_ignored():
    content = spent(5).model_dump() | {"joules": 3}
    assert Spent.model_validate(content) == spent(5)


def test_a_pruning_before_any_training_has_no_search_but_the_pretraining():
    arms = {"at_init": {}, "at_init_reinit": {"like": "random_reinit", "on": "at_init"}, "one_shot": {}}
    entries = by_place(ledger(studied(arms=arms)))
    assert {entries[arm, 0, 3].search.runs for arm in ("at_init", "at_init_reinit")} == {0}
    assert [entries["one_shot", 0, round].search.runs for round in (1, 3)] == [1, 1]
    entries = by_place(ledger(studied(arms=arms, pretrain={"steps": "10it"})))
    assert entries["at_init", 0, 2].search.steps == 100
    assert entries["one_shot", 0, 2].search.steps == 200
    assert entries["ticket", 0, 0].search.runs == 1


def test_masks_that_are_known_before_a_training_cost_what_led_to_them():
    arms = {
        "x": {"like": "at_init"},
        "on_x": {"like": "transfer", "on": "x"},
        "on_ticket": {"like": "transfer"},
    }
    for arm in ("on_x", "on_ticket"):
        arms[arm]["training"] = {"optimizer": "sgd"}
    entries = by_place(ledger(studied(arms=arms)))
    assert entries["on_ticket", 0, 2].search.runs == entries["ticket", 0, 2].search.runs == 2
    assert entries["on_x", 0, 2].search.runs == 0
