"""Rows by class and by pairs of networks, by hand."""

import numpy as np
import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery.analysis.answers import Answers, check_record
from tf_lottery.analysis.calibration import Calibration
from tf_lottery.analysis.class_rows import by_class, churn, churn_of_seeds, summary
from tf_lottery.errors import LotteryError

LABELS = np.array([0, 0, 0, 0, 1, 1])
FIGURES = Calibration(0.9, 0.1, 0.5, 0.2)


def answers(chosen, arm="ticket", round=1, replicate=0, trial=0, calibration=FIGURES, classes=2):
    record = fake_record(fake_spec(arm, round, replicate, trial))
    return Answers(record, np.array(chosen), LABELS, classes, calibration)


def test_accuracy_by_class_is_paired_with_the_dense_network_of_the_replicate():
    dense = [answers([0, 0, 0, 0, 1, 0], round=0), answers([0, 0, 0, 1, 1, 1], round=0, replicate=1)]
    runs = [answers([0, 0, 1, 1, 1, 1]), answers([0, 0, 1, 1, 1, 1], replicate=1)]
    zero, one = by_class(runs, dense)
    assert (zero.label, zero.examples, zero.runs, zero.accuracy) == (0, 4, 2, 0.5)
    assert zero.difference == pytest.approx((-50 - 25) / 2)
    # Student's t of -50 and -25: the standard error is 12.5, the quantile of one degree of freedom 12.7062
    assert (zero.low, zero.high) == pytest.approx((-37.5 - 158.8275, -37.5 + 158.8275), abs=1e-3)
    assert (one.accuracy, one.difference) == (1.0, 25.0)
    told = summary(runs, dense)
    assert (told.accuracy, told.runs) == (pytest.approx(4 / 6), 2)
    assert (told.worst_class, told.worst_accuracy) == (0, 0.5)
    assert (told.most_lost_class, told.most_lost) == (0, pytest.approx(-37.5))


def test_one_replicate_has_a_difference_and_no_interval():
    zero, _ = by_class([answers([0, 0, 1, 1, 1, 1])], [answers([0, 0, 0, 0, 1, 1], round=0)])
    assert (zero.difference, zero.low, zero.high) == (-50.0, None, None)


def test_no_class_is_lost_where_none_is_below_the_dense_network():
    run, dense = answers([0, 0, 0, 0, 1, 1]), answers([0, 0, 0, 0, 1, 0], round=0)
    assert (summary([run], [dense]).most_lost_class, summary([run], [dense]).most_lost) == (None, None)
    assert summary([run], [run]).most_lost is None


def test_trials_are_averaged_first():
    runs = [answers([0, 0, 0, 0, 1, 1]), answers([1, 1, 1, 1, 1, 1], trial=1)]
    runs.append(answers([0, 0, 0, 1, 1, 1], replicate=1))
    zero, _ = by_class(runs)
    assert (zero.accuracy, zero.runs, zero.difference) == ((0.5 + 0.75) / 2, 2, None)
    assert summary(runs).most_lost_class is None


def test_a_class_without_test_examples_has_no_accuracy_and_is_not_the_worst():
    runs, dense = [answers([0] * 6, classes=3)], [answers([0] * 6, round=0, classes=3)]
    row = by_class(runs, dense)[2]
    assert (row.examples, row.accuracy, row.difference, row.low) == (0, None, None, None)
    assert summary(runs, dense).worst_class == 1


def test_figures_of_calibration_are_means_and_told_only_where_all_runs_have_them():
    other = Calibration(0.7, 0.3, 1.5, 0.4)
    runs = [answers([0] * 6), answers([0] * 6, replicate=1, calibration=other)]
    told = summary(runs)
    assert (told.confidence, told.calibration_error) == (pytest.approx(0.8), pytest.approx(0.2))
    assert (told.negative_log_likelihood, told.brier) == (pytest.approx(1.0), pytest.approx(0.3))
    assert summary([*runs, answers([0] * 6, replicate=2, calibration=None)]).brier is None


def test_churn_counts_who_alone_is_right():
    dense = answers([0, 0, 0, 1, 1, 0], round=0)
    run = answers([0, 1, 1, 0, 1, 0])
    row = churn([run], [dense])
    assert (row.first, row.second, row.round, row.pairs, row.examples) == ("dense", "ticket", 1, 1, 6)
    assert (row.differ, row.only_first, row.only_second) == pytest.approx((3 / 6, 2 / 6, 1 / 6))
    assert churn([answers([0] * 6, replicate=1)], [dense]) is None, "its dense network isn't there"


def test_churn_of_seeds_takes_every_two_replicates():
    dense = [answers([0, 0, 0, 0, 1, each], round=0, replicate=each) for each in (0, 1)]
    assert churn_of_seeds(dense[:1]) is None
    row = churn_of_seeds([*dense, answers([0, 0, 0, 0, 1, 1], round=0, replicate=2)])
    assert (row.second, row.pairs, row.differ) == ("dense", 3, pytest.approx(2 / 3 / 6))


def outputs(hits, count=100, margin=1.0):
    found = np.zeros((count, 2), np.float32)
    found[:hits, 0], found[hits:, 1] = margin, margin
    return found


def test_a_run_has_to_be_as_often_right_as_its_record_says():
    record, labels = fake_record(fake_spec(), early_stop_test_accuracy=0.96), np.zeros(100, int)
    check_record(record, outputs(96), labels, 0.2)
    for hits in (95, 97):
        with pytest.raises(LotteryError, match=f"right for {hits} of 100 test .* record says 96 and 0.2"):
            check_record(record, outputs(hits), labels, 0.2)


def test_rounding_may_decide_only_examples_whose_highest_outputs_are_equal_up_to_it():
    record, labels = fake_record(fake_spec(), early_stop_test_accuracy=0.96), np.zeros(100, int)
    one = outputs(95)
    one[95] = [1.0, 1.000001]
    check_record(record, one, labels, 0.2)
    one = outputs(94)
    one[94] = [1.0, 1.000001]
    with pytest.raises(LotteryError, match="another network now"):
        check_record(record, one, labels, 0.2)


@pytest.mark.parametrize(
    ("precision", "near", "far"), [("float32", 0.20001, 0.201), ("mixed_bfloat16", 0.203, 0.21)]
)
def test_the_loss_has_to_be_that_of_the_record_up_to_rounding(precision, near, far):
    spec = fake_spec()
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"precision": precision})})
    record, labels = fake_record(spec, early_stop_test_accuracy=0.96), np.zeros(100, int)
    check_record(record, outputs(96), labels, near)
    for loss in (far, float("nan")):
        with pytest.raises(LotteryError, match=f"with a loss of {loss:.5g}. Its record says 96 and 0.2: "):
            check_record(record, outputs(96), labels, loss)
