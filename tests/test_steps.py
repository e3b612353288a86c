import pytest

from tf_lottery import steps
from tf_lottery.errors import LotteryError


def test_iterations_count_as_they_are_and_epochs_by_their_length():
    assert steps.iterations("5000it", steps_per_epoch=916) == 5000
    assert steps.iterations("2ep", steps_per_epoch=916) == 1832
    assert steps.iterations("0it", steps_per_epoch=916) == 0


def test_an_epoch_drops_what_does_not_fill_a_batch():
    assert steps.epoch(55_000, 60) == 916
    assert steps.epoch(60, 60) == 1


def test_examples_for_less_than_one_batch_are_refused():
    with pytest.raises(LotteryError, match=r"59 examples.*batch_size 60"):
        steps.epoch(59, 60)


@pytest.mark.parametrize(
    "text", ["5000", "it", "", "5 it", "-5it", "2.5ep", "5IT", "5itt", "5it\n", 5000, None]
)
def test_what_is_not_written_as_steps_is_refused(text):
    with pytest.raises(LotteryError, match="'5000it'"):
        steps.validate(text)
    with pytest.raises(LotteryError):
        steps.iterations(text, 10)


def test_validate_returns_the_text():
    assert steps.validate("500it") == "500it"


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60.0), ("0.5s", 0.5), ("500it", None), ("2ep", None), ("never", None)]
)
def test_an_interval_is_seconds_steps_or_never(text, seconds):
    assert steps.validate_interval(text) == text
    assert steps.seconds(text) == seconds


@pytest.mark.parametrize("text", ["0s", "0it", "-1s", "60", "1 s", "1e3s", "", "always", 60, None])
def test_other_intervals_are_refused(text):
    with pytest.raises(LotteryError, match="Expected '60s'.*Received: "):
        steps.validate_interval(text)
