import keras
import numpy as np
import pytest
from pydantic import ValidationError

from tests.training.test_loop import begin, train
from tests.training.trainings import trainer
from tf_lottery.config import LearningRateConfig, TrainingConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.training import state
from tf_lottery.training.learning_rates import make_learning_rates


def rates(steps, length="100it", per_epoch=20, **schedule):
    config = TrainingConfig(
        steps=length, learning_rate=0.5, learning_rate_schedule=LearningRateConfig(**schedule)
    )
    return make_learning_rates(config, per_epoch)(np.asarray(steps))


def test_a_constant_rate():
    assert rates([0, 1, 50, 99]).tolist() == [0.5] * 4


def test_warmup_rises_linearly_and_reaches_the_rate_at_its_last_step():
    expected = [0.5 * 1 / 10, 0.5 * 2 / 10, 0.5 * 9 / 10, 0.5, 0.5, 0.5]
    assert rates([0, 1, 8, 9, 10, 99], warmup="10it") == pytest.approx(expected, rel=1e-15)
    assert rates([0, 19, 20], warmup="1ep") == pytest.approx([0.5 / 20, 0.5, 0.5], rel=1e-15)


def test_drops_come_at_exactly_their_step():
    expected = [0.5, 0.5, 0.05, 0.05, 0.005, 0.005]
    found = rates([0, 29, 30, 59, 60, 99], name="step_drops", drops=["60it", "30it"])
    assert found == pytest.approx(expected, rel=1e-12)
    found = rates([39, 40, 99], name="step_drops", drops=["2ep"], factor=0.5)
    assert found.tolist() == [0.5, 0.25, 0.25]


def test_drops_and_warmup_multiply():
    found = rates([0, 4, 5, 9, 10], name="step_drops", drops=["5it"], warmup="10it", factor=0.5)
    assert found == pytest.approx([0.05, 0.25, 0.15, 0.25, 0.25], rel=1e-12)


def test_a_cosine_falls_from_the_end_of_warmup_to_the_last_step():
    found = rates([0, 19, 20, 60, 80, 100], name="cosine", warmup="20it")
    quarter = (1 + np.cos(np.pi * 0.75)) / 2
    assert found == pytest.approx([0.025, 0.5, 0.5, 0.25, 0.5 * quarter, 0], rel=1e-12, abs=1e-16)
    assert (np.diff(rates(np.arange(101), name="cosine")) < 0).all()


def test_a_cosine_leaves_the_fraction_it_is_told_to():
    assert rates([0, 50, 100], name="cosine", end=0.2) == pytest.approx([0.5, 0.3, 0.1], rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "linear"}, "constant, cosine, step_drops. Received: 'linear'"),
        ({"name": "step_drops", "drops": ["20it", "101it"]}, "drops within the 100 steps.*Received: 101it"),
        ({"name": "step_drops", "drops": ["6ep"]}, "drops within the 100 steps.*Received: 6ep"),
        ({"warmup": "101it"}, "warmup within the 100 steps.*Received: 101it"),
    ],
)
def test_schedules_that_do_not_fit_are_refused(schedule, message):
    with pytest.raises(LotteryError, match=f"^Expected .*{message}"):
        rates([0], **schedule)


@pytest.mark.parametrize(
    "schedule", [{"drops": ["5it"]}, {"name": "step_drops"}, {"end": 0.1}, {"name": "cosine", "end": 1.0}]
)
def test_settings_of_another_schedule_are_refused(schedule):
    with pytest.raises(ValidationError):
        LearningRateConfig(**schedule)


DROPS = {"name": "step_drops", "warmup": "4it", "drops": ["10it", "18it"], "factor": 0.5}
BY_HAND = [0.05 * min(1, (step + 1) / 4) * 0.5 ** ((step >= 10) + (step >= 18)) for step in range(30)]


@pytest.fixture(scope="module")
def by_hand(digits):
    """The weights after each step, Keras's own, with the rate set by hand each step; and a trainer."""
    setup = trainer(
        digits,
        optimizer="sgd",
        learning_rate=0.05,
        steps="30it",
        learning_rate_schedule=LearningRateConfig(**DROPS),
        xla=False,
    )
    plain = setup._build(1)
    plain.compile(
        keras.optimizers.SGD(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    weights = [state.capture(state.model_variables(plain))]
    for rate, batch in zip(BY_HAND, BatchOrder(7, len(digits.train), 60).batches(0, 30), strict=True):
        plain.optimizer.learning_rate = rate
        plain.train_on_batch(digits.train.x[batch], digits.train.y[batch])
        weights.append(state.capture(state.model_variables(plain)))
    return setup, weights


def distances(found, expected):
    return [np.linalg.norm(found[n] - v) / max(np.linalg.norm(v), 1e-3) for n, v in expected.items()]


def test_each_step_of_the_loop_has_its_own_rate(digits, by_hand):
    setup, expected = by_hand
    begin(setup)
    found = [setup.weights()]
    train(setup, digits, 30, range(1, 30), lambda step, passed: found.append(setup.weights()))
    assert len(found) == len(expected) == 31
    assert max(distances(found[30], expected[30])) < 1e-5
    name = "model/output/kernel"
    for step in range(30):  # a rate off by one step would move the weights twice or half as far
        moved, should = ((w[step + 1][name] - w[step][name]) for w in (found, expected))
        assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(should), rel=1e-3), step
    begin(setup)
    assert max(distances(train(setup, digits, 30), expected[30])) < 1e-5  # in one call


def test_a_training_that_starts_later_takes_up_the_schedule_there(digits, by_hand):
    setup, expected = by_hand
    begin(setup)
    setup.set_weights(expected[15])
    assert max(distances(train(setup, digits, 30, first=15), expected[30])) < 1e-5
    setup.set_weights(expected[15])
    order = BatchOrder(7, len(digits.train), 60)
    setup.loop.run(0, 15, order)  # the rates of the first steps
    assert max(distances(setup.weights(), expected[30])) > 1e-3
