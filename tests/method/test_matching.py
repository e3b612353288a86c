import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery.method.matching import by_round, matching_round


def tickets(*accuracies, replicate=0):
    """Rounds 0, 1, 2, ... of one replicate; None: not finished."""
    return [
        fake_record(fake_spec(round=round, replicate=replicate), validation)
        for round, validation in enumerate(accuracies)
        if validation is not None
    ]


def test_the_sparsest_round_at_least_as_good_as_dense_matches():
    assert matching_round(tickets(0.97, 0.98, 0.97, 0.96)) == 2


def test_every_denser_round_has_to_match_too():
    assert matching_round(tickets(0.97, 0.98, 0.96, 0.99)) == 1


@pytest.mark.parametrize(("tolerance", "round"), [(0.0, None), (0.004, None), (0.005, 1), (0.02, 2)])
def test_tolerance_is_subtracted_from_dense(tolerance, round):
    assert matching_round(tickets(0.970, 0.965, 0.951), tolerance) == round


def test_no_pruned_round_matches():
    assert matching_round(tickets(0.97, 0.96)) is None


def test_the_dense_network_alone_is_no_ticket():
    assert matching_round(tickets(0.97)) is None
    assert matching_round([]) is None
    assert matching_round(tickets(None, 0.97)) is None


def test_means_over_replicates_decide():
    records = tickets(0.96, 0.95, 0.99) + tickets(0.98, 0.99, 0.94, replicate=1)
    assert matching_round(records) == 1


def test_exactly_the_tolerance_below_matches_whatever_the_last_bit():
    records = tickets(0.943, 0.938) + tickets(0.944, 0.939, replicate=1)
    assert matching_round(records, tolerance=0.005) == 1


def test_a_round_that_not_all_replicates_have_finished_does_not_count():
    records = tickets(0.97, 0.98, 0.98) + tickets(0.97, 0.98, replicate=1)
    assert matching_round(records) == 1


def test_a_round_that_nobody_has_finished_ends_the_matching_ones():
    assert matching_round(tickets(0.97, None, 0.98)) is None
    assert matching_round(tickets(0.97, 0.98, None, 0.98)) == 1


def test_the_test_set_and_the_last_step_choose_nothing():
    dense, ticket = (fake_spec(round=round) for round in (0, 1))
    others = {"early_stop_test_accuracy": 0.1, "final_validation_accuracy": 0.1}
    assert matching_round([fake_record(dense, 0.97), fake_record(ticket, 0.97, **others)]) == 1


def test_controls_do_not_count():
    records = [*tickets(0.97, 0.96), fake_record(fake_spec("random_reinit", round=1), 0.99)]
    assert matching_round(records) is None


def test_the_order_of_records_does_not_matter():
    assert matching_round(tickets(0.97, 0.98, 0.97, 0.96)[::-1]) == 2


def test_trials_are_averaged_before_replicates():
    runs = [(0, 0, 0.90), (0, 1, 0.92), (0, 2, 0.94), (1, 0, 0.50)]
    records = [
        fake_record(fake_spec("random_reinit", 1, replicate, trial), validation)
        for replicate, trial, validation in runs
    ]
    found = by_round(records, lambda record: record.early_stop_validation_accuracy, "random_reinit")
    assert found == {1: [pytest.approx(0.92), 0.50]}


def test_by_round_is_in_order_of_rounds_and_of_one_arm():
    records = [*tickets(0.97, 0.96, 0.95)[::-1], fake_record(fake_spec("random_reinit", round=7))]
    found = by_round(records, lambda record: record.early_stop_validation_accuracy, "ticket")
    assert list(found.items()) == [(0, [0.97]), (1, [0.96]), (2, [0.95])]
