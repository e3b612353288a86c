"""The ledger as people and programs read it."""

import json

from tests.fakes import fake_record, fake_spec
from tests.method.test_ledger import spent, studied
from tf_lottery.analysis.ledger import describe, rows


def test_the_table_has_one_unit_in_each_column():
    records = studied(lambda spec: spent(1000 * 2**spec.round, 4 * 10**14 * 10**spec.round))
    table = describe(records)[:6]
    assert [line.split() for line in table[:2]] == [
        ["den-", "effec-", "own", "search", "own", "search", "own", "search"],
        ["arm", "round", "sity", "tive", "steps", "steps", "PFLOP", "PFLOP", "h", "h"],
    ]
    assert [line.split() for line in table[2:]] == [
        ["ticket", "0", "100.0%", "-", "1,000", "0", "0.1", "0.0", "0.556", "0.000"],
        ["ticket", "1", "50.0%", "-", "2,000", "1,000", "1.0", "0.1", "1.111", "0.556"],
        ["ticket", "2", "25.0%", "-", "4,000", "3,000", "10.0", "1.1", "2.222", "1.667"],
        ["ticket", "3", "12.5%", "-", "8,000", "7,000", "100.0", "11.1", "4.444", "3.889"],
    ]
    assert len({len(line) for line in table}) == 1


def test_what_was_reached_stands_beside_all_that_it_cost():
    """Ticket 3: 8,000 of its own steps and 7,000 before, in multiples of the dense network's 1,000; the FLOPs
    of the weights that remain are a quarter of the dense ones."""
    records = studied(lambda spec: spent(1000 * 2**spec.round, 4 * 10**14 * 10**spec.round), replicates=2)
    records = [
        r.model_copy(
            update={"early_stop_test_accuracy": 0.9 + 0.02 * r.spec.replicate + 0.001 * r.spec.round}
        )
        for r in records
    ]
    table = describe(records)[7:13]
    assert [line.split() for line in table[:2]] == [
        ["test", "all", "times", "all", "times"],
        ["arm", "round", "weights", "acc.", "steps", "dense", "PFLOP", "dense"],
    ]
    assert [line.split() for line in table[2:]] == [
        ["ticket", "0", "1,024", "91.00", "1,000", "1.00", "0.1", "0.25"],
        ["ticket", "1", "512", "91.10", "3,000", "3.00", "1.1", "2.75"],
        ["ticket", "2", "256", "91.20", "7,000", "7.00", "11.1", "27.75"],
        ["ticket", "3", "128", "91.30", "15,000", "15.00", "111.1", "277.75"],
    ]
    assert max(map(len, table)) <= 100


def test_a_study_whose_dense_network_is_missing_has_no_multiples():
    records = studied()[1:]
    row = describe(records)[-3].split()
    assert row == ["ticket", "3", "128", "96.00", "-", "-", "-", "-"]


def test_the_words_compare_with_the_dense_network():
    arms = {"ticket": {}, "random_reinit": {"rounds": [3]}}
    total, search = describe(studied(lambda spec: spent(100, 4 * 10**9 >> spec.round), arms=arms))[-2:]
    assert total == (
        "All 5 runs: 500 steps, 2 GFLOP of the weights that remain (8 GFLOP with the pruned ones), 16.7 min "
        "of training steps: 5.0 times the dense network's steps."
    )
    assert search == (
        "The search for round 3 of ticket took 3.0 times the dense network's steps, 4.0 times with its own "
        "training (0.4 and 0.5 times the FLOPs, if pruned weights cost nothing)."
    )


def test_what_is_not_known_is_a_dash_and_left_out_of_the_words():
    *tables, _, total, search = describe(studied(lambda spec: None))
    assert tables[-1].split() == ["ticket", "3", "128", "96.00", "4,000", "4.00", "-", "-"]
    assert tables[5].split() == ["ticket", "3", "12.5%", "-", "1,000", "3,000", "-", "-", "1.000", "3.000"]
    assert total == "All 4 runs: 4,000 steps, 4 s of training steps: 4.0 times the dense network's steps."
    assert search.endswith("took 3.0 times the dense network's steps, 4.0 times with its own training.")


def test_a_study_that_has_only_begun():
    assert describe([]) == ["No run is finished yet."]
    assert describe([fake_record(fake_spec())])[-1] == (
        "1 run: 1,000 steps, 1 s of training steps: 1.0 times the dense network's steps."
    )
    orphan = fake_record(fake_spec(round=2, root="r" * 64))
    assert describe([orphan])[-1] == "1 run: 1,000 steps, 1 s of training steps."
    assert describe([fake_record(fake_spec()), orphan])[-1].startswith("All 2 runs")


def test_programs_read_flat_rounds_and_the_total():
    found = rows(studied(lambda spec: spent(100, 4000)))
    assert found["study"] == {
        "runs": 4,
        "steps": 400,
        "flops_dense": 16_000,
        "flops_remaining": 4000,
        "seconds": 800,
    }
    last = found["rounds"][-1]
    assert (last["arm"], last["round"], last["own_steps"], last["search_steps"]) == ("ticket", 3, 100, 300)
    assert (last["all_steps"], last["all_flops_remaining"], last["all_seconds"]) == (400, 4000, 800)
    assert (last["times_steps"], last["times_flops"]) == (4.0, 1.0)
    assert (last["weights"], last["test_accuracy"]) == (128, 0.96)
    assert last["effective_density"] is None
    assert not any(isinstance(value, dict | list) for value in last.values())
    assert json.loads(json.dumps(found)) == found
