"""Accuracies, or losses where there are no classes."""

import pytest

from tests.fakes import fake_record, fake_spec, fake_study
from tf_lottery.analysis.report.measure import ACCURACY, LOSS, measure_of


@pytest.mark.parametrize("loss", ["mean_squared_error", "MeanAbsoluteError", "mse", "huber"])
def test_losses_of_regression_are_told_as_losses(loss):
    assert measure_of(fake_study(training={"loss": loss})) is LOSS


def test_others_are_told_as_accuracies():
    assert measure_of(fake_study()) is ACCURACY


def test_values_are_those_of_the_record():
    record = fake_record(fake_spec())
    assert ACCURACY.test(record) == pytest.approx(96.0)
    assert ACCURACY.validation(record) == pytest.approx(97.0)
    assert (LOSS.test(record), LOSS.validation(record)) == (0.2, 0.1)
    assert (ACCURACY.text(97.126), LOSS.text(0.12345), LOSS.text(1e12)) == ("97.13", "0.1235", "1e+12")
