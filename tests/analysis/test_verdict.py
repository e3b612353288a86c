from tests.fakes import fake_record, fake_spec, fake_study, run_to_the_end
from tf_lottery.analysis.verdict import verdict
from tf_lottery.method.plan import collect


def ticket(round, validation, test=0.96, replicate=0, **results):
    return fake_record(
        fake_spec(round=round, replicate=replicate), validation, early_stop_test_accuracy=test, **results
    )


def control(round, test, replicate=0, trial=0):
    return fake_record(fake_spec("random_reinit", round, replicate, trial), early_stop_test_accuracy=test)


TICKETS = [ticket(0, 0.970, 0.960), ticket(1, 0.975, 0.965), ticket(2, 0.971, 0.962), ticket(3, 0.95, 0.93)]


def text(records, tolerance=0.0):
    return " ".join(verdict(records, tolerance))


def test_nothing_trained_is_said():
    assert verdict([], 0.0) == ["No dense network is trained yet."]


def test_the_dense_network_and_the_sparsest_matching_ticket_are_given_with_numbers():
    said = text(TICKETS)
    assert "Dense network: 96.00% test accuracy at early stop (step 600)." in said
    assert "round 2, 25.0% of the weights (256 of 1,024): 96.20% test accuracy" in said
    assert "(97.10%), and that of every denser ticket, is at least the dense network's 97.00%." in said


def test_the_step_of_early_stop_is_given():
    assert "(step 12,300)" in text([ticket(0, 0.97, early_stop_iteration=12_300)])


def test_tolerance_is_named_and_counts():
    said = text(TICKETS, tolerance=0.02)
    assert "Sparsest matching ticket: round 3" in said
    assert "97.00% less the tolerance of 2 points" in said


def test_no_matching_ticket_is_said():
    said = text([ticket(0, 0.97), ticket(1, 0.96)], tolerance=0.005)
    assert "No ticket matches" in said
    assert "97.00% less the tolerance of 0.5 points" in said
    assert "Sparsest" not in said


def test_a_study_without_a_pruned_round_is_not_said_to_have_failed():
    assert "below the dense network's" not in text([ticket(0, 0.97)])


def test_a_first_round_that_not_all_replicates_have_finished_is_not_said_to_have_failed():
    records = [ticket(0, 0.97), ticket(0, 0.97, replicate=1), ticket(1, 0.98)]
    assert "below the dense network's" not in text(records)


def test_the_same_mask_reinitialized_is_compared():
    said = text([*TICKETS, control(1, 0.99), control(2, 0.940)])
    assert "The same mask, randomly reinitialized: 94.00% test accuracy" in said
    assert "2.20 points below the ticket" in said


def test_a_control_that_is_better_is_said_to_be():
    assert "1.00 points above the ticket" in text([*TICKETS, control(2, 0.972)])


def test_the_nearest_control_stands_in_and_is_compared_with_the_ticket_of_its_own_round():
    said = text([*TICKETS, control(3, 0.90)])
    assert "The nearest that was, at round 3 (12.5%), reached 90.00%" in said
    assert "3.00 points below the ticket of that round" in said


def test_of_two_controls_as_near_the_sparser_is_taken():
    assert "at round 3 (12.5%)" in text([*TICKETS, control(1, 0.95), control(3, 0.90)])


def test_trials_of_the_control_are_averaged():
    said = text([*TICKETS, control(2, 0.94), control(2, 0.95, trial=1)])
    assert "94.50% test accuracy" in said


def test_a_missing_control_is_said():
    assert "no random reinitialization" in text(TICKETS)


def test_one_replicate_is_warned_of():
    assert "One replicate" in text(TICKETS)


def test_replicates_are_averaged_with_their_range():
    pair = [ticket(r, v, t, i) for r, v, t, i in ((0, 0.97, 0.95, 0), (0, 0.97, 0.97, 1))]
    pair += [ticket(1, 0.98, 0.96, 0), ticket(1, 0.98, 0.98, 1)]
    said = text(pair)
    assert "Dense network: 96.00% test accuracy at early stop (step 600), 95.00 to 97.00 over 2 repl" in said
    assert "97.00% test accuracy at early stop (step 600), 96.00 to 98.00 over 2 replicates" in said
    assert "One replicate" not in said


def test_masks_of_a_cheap_search_that_are_trained_in_full_in_some_rounds_have_a_verdict():
    study = fake_study(
        search={"steps": "10it"}, arms={"final": {"rounds": [2]}, "random_reinit": {"rounds": [2]}}
    )
    records = collect(study, run_to_the_end(study))
    said = text(records)
    assert "Sparsest matching ticket: round 2" in said
    assert "The same mask, randomly reinitialized" in said
    worse = [
        r.model_copy(update={"early_stop_validation_accuracy": 0.5 if r.spec.round else 0.97})
        for r in records
    ]
    assert "at the first pruned round (2) validation accuracy is below" in text(worse)
