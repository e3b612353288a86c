"""Calibration, by hand."""

import math

import numpy as np
import pytest

from tf_lottery.analysis.calibration import calibration, expected_calibration_error


def test_the_expected_calibration_error_of_a_few_examples_worked_out_by_hand():
    # With four bins: 0.3 and 0.4 lie in (0.25, 0.5], 0.9 and 0.8 in (0.75, 1].
    confidences, hits = np.array([0.3, 0.4, 0.9, 0.8]), np.array([True, False, True, False])
    gaps = abs(0.35 - 0.5) * 2 + abs(0.85 - 0.5) * 2
    assert expected_calibration_error(confidences, hits, 4) == pytest.approx(gaps / 4)


def test_gaps_of_one_bin_cancel_and_those_of_two_do_not():
    one = np.array([0.61, 0.62]), np.array([True, False])  # 9/15 < both <= 10/15
    assert expected_calibration_error(*one) == pytest.approx(abs(0.39 - 0.62) / 2)
    two = np.array([0.61, 0.68]), np.array([True, False])
    assert expected_calibration_error(*two) == pytest.approx((0.39 + 0.68) / 2)


def test_the_upper_end_belongs_to_a_bin_and_certainty_to_the_last():
    at = np.array([0.5, 0.4]), np.array([True, False])  # both in (0.25, 0.5]
    assert expected_calibration_error(*at, 4) == pytest.approx(abs(0.5 - 0.4) / 2)
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0
    assert expected_calibration_error(np.array([0.0]), np.array([True]), 4) == 1.0


def test_the_figures_of_two_examples_from_probabilities_and_from_logits():
    probabilities, labels = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]), np.array([0, 1])
    for outputs, kind in ((probabilities, "probabilities"), (np.log(probabilities) + 3, "logits")):
        found = calibration(outputs, labels, kind)
        assert found.confidence == pytest.approx(0.6)
        assert found.negative_log_likelihood == pytest.approx(-(math.log(0.7) + math.log(0.25)) / 2)
        first, second = 0.3**2 + 0.2**2 + 0.1**2, 0.25**2 + 0.75**2 + 0.5**2
        assert found.brier == pytest.approx((first + second) / 2)
        assert found.calibration_error == pytest.approx((0.3 + 0.5) / 2)


def test_large_logits_and_probabilities_of_zero_give_finite_figures():
    sure = calibration(np.array([[1e4, -1e4], [1e4, -1e4]], np.float32), np.array([0, 1]), "logits")
    assert (sure.confidence, sure.calibration_error, sure.brier) == (1.0, 0.5, 1.0)
    assert sure.negative_log_likelihood == 1e4
    zero = calibration(np.array([[1.0, 0.0]]), np.array([1]), "probabilities")
    assert zero.negative_log_likelihood == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize("outputs", [[[0.5, 0.6]], [[1.2, -0.2]], [[0.0, 0.0]], [[np.nan, 1.0]]])
def test_what_does_not_add_up_to_one_is_no_probability(outputs):
    assert calibration(np.array(outputs), np.array([0]), "probabilities") is None


def test_other_outputs_are_not_calibrated():
    assert calibration(np.array([[0.5, 0.5]]), np.array([0]), "values") is None
