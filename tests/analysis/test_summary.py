import pytest

from tests.fakes import fake_record, fake_spec, fake_study, run_to_the_end
from tf_lottery.analysis.summary import Spread, summarize


def records(*runs):
    """Each run: arm, round, replicate, trial, test accuracy."""
    return [fake_record(fake_spec(*labels), early_stop_test_accuracy=test) for *labels, test in runs]


def test_one_replicate_is_its_own_mean_and_range():
    found = summarize(run_to_the_end(fake_study()))
    summary = found["ticket"][2]
    assert (summary.arm, summary.round, summary.replicates, summary.density) == ("ticket", 2, 1, 0.25)
    assert summary.test_accuracy == Spread(0.96, 0.96, 0.96)
    assert summary.validation_accuracy == Spread(0.97, 0.97, 0.97)
    assert summary.iteration == Spread(600, 600, 600)


def test_every_arm_begins_at_the_dense_network():
    found = summarize(run_to_the_end(fake_study(arms={"random_reinit": {"rounds": [2]}})))
    assert list(found) == ["ticket", "random_reinit"]
    assert list(found["ticket"]) == [0, 1, 2, 3]
    assert list(found["random_reinit"]) == [0, 2]
    assert found["random_reinit"][0] == found["ticket"][0]


def test_mean_minimum_and_maximum_are_over_replicates():
    found = summarize(records(("ticket", 0, 0, 0, 0.5), ("ticket", 0, 1, 0, 0.75), ("ticket", 0, 2, 0, 1.0)))
    assert found["ticket"][0].test_accuracy == Spread(0.75, 0.5, 1.0)
    assert found["ticket"][0].replicates == 3


def test_trials_are_averaged_first():
    found = summarize(
        records(
            ("random_reinit", 1, 0, 0, 0.25),
            ("random_reinit", 1, 0, 1, 0.75),
            ("random_reinit", 1, 1, 0, 1.0),
        )
    )
    summary = found["random_reinit"][1]
    assert summary.test_accuracy == Spread(0.75, 0.5, 1.0)
    assert summary.replicates == 2


def test_density_is_the_mean_over_replicates():
    pair = [fake_record(fake_spec(round=1, replicate=r), remaining=left) for r, left in ((0, 256), (1, 512))]
    assert summarize(pair)["ticket"][1].density == 0.375


def test_iterations_have_their_range_too():
    pair = [
        fake_record(fake_spec(replicate=r), early_stop_iteration=step) for r, step in ((0, 200), (1, 500))
    ]
    assert summarize(pair)["ticket"][0].iteration == Spread(350, 200, 500)


@pytest.mark.parametrize("found", [[], iter([])])
def test_no_records_have_no_summary(found):
    assert summarize(found) == {}


def test_records_may_come_as_an_iterator():
    assert list(summarize(iter(run_to_the_end(fake_study())))["ticket"]) == [0, 1, 2, 3]
