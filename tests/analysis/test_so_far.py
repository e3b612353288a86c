"""Lines on what a study has come to so far."""

from tests.fakes import fake_record, fake_spec
from tf_lottery.analysis.so_far import best_so_far, duration, next_runs, seconds_left


def ticket(round, validation, test=0.96, replicate=0):
    spec = fake_spec(round=round, replicate=replicate)
    return fake_record(spec, validation, early_stop_test_accuracy=test)


def test_the_best_ticket_is_chosen_by_validation_and_told_by_its_test_accuracy():
    records = [ticket(0, 0.97, 0.96), ticket(1, 0.975, 0.91), ticket(2, 0.96, 0.99)]
    assert best_so_far(records, 0.0, 1) == "round 1, 50.0% of weights: 91.00% test (dense 96.00%)"
    assert best_so_far(records, 0.01, 1) == "round 2, 25.0% of weights: 99.00% test (dense 96.00%)"


def test_nothing_is_said_before_there_is_a_dense_network():
    assert best_so_far([], 0.0, 1) == ""


def test_rounds_that_a_replicate_lacks_do_not_count_and_missing_replicates_are_told():
    records = [ticket(0, 0.97, 0.96), ticket(0, 0.97, 0.98, replicate=1), ticket(1, 0.98)]
    assert best_so_far(records, 0.0, 3) == "none matches yet (dense 97.00% test, 2 of 3 replicates)"
    records.append(ticket(1, 0.97, 0.97, replicate=1))
    assert best_so_far(records, 0.0, 2) == "round 1, 50.0% of weights: 96.50% test (dense 97.00%)"


def test_the_first_of_the_next_runs_are_named():
    specs = [fake_spec(round=round) for round in range(1, 6)]
    assert next_runs(specs, 1) == "ticket round 1, ticket round 2, ticket round 3, 2 more"
    assert next_runs(specs[:1], 2) == "ticket replicate 0 round 1"
    assert next_runs([], 1) == ""


def test_names_that_have_no_room_are_counted_instead():
    specs = [fake_spec(round=round) for round in range(1, 6)]
    for width, line in (
        (54, "ticket round 1, ticket round 2, ticket round 3, 2 more"),
        (53, "ticket round 1, ticket round 2, 3 more"),
        (5, "ticket round 1, 4 more"),
    ):
        assert next_runs(specs, 1, width) == line


def test_the_time_left_is_the_median_run_times_what_is_left_over_what_runs_at_once():
    assert seconds_left([100, 10, 20], 3.5, 2) == 35
    assert seconds_left([10], 2, 0) == 20
    assert seconds_left([0.0], 2, 1) is None
    assert seconds_left([10], 0, 1) == 0


def test_durations_are_in_the_largest_unit_of_which_there_are_two():
    spans = {0: "0 seconds", 119: "119 seconds", 120: "2.0 minutes", 7200: "2.0 hours", 180_000: "2.1 days"}
    assert {seconds: duration(seconds) for seconds in spans} == spans
