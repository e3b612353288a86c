"""Learning rates as functions of the network's step: warm-up, drops, cosine.

Steps include rewound ones, so a ticket takes up the schedule where its rewind point stood. To add a schedule,
write a function and add a line to `SCHEDULES`.
"""

from collections.abc import Callable

import numpy as np

from tf_lottery import steps as steps_
from tf_lottery.config import LearningRateConfig, TrainingConfig
from tf_lottery.errors import LotteryError

Rates = Callable[[np.ndarray], np.ndarray]


def constant(config: LearningRateConfig, per_epoch: int, warmup: int, last: int) -> Rates:
    """Keep the rate constant (Frankle & Carbin 2018: LeNet, Conv-2, Conv-4, Conv-6)."""
    return lambda steps: np.ones(len(steps))


def step_drops(config: LearningRateConfig, per_epoch: int, warmup: int, last: int) -> Rates:
    """Multiply the rate by `factor` at each of `drops` (Frankle & Carbin 2018: ResNet, VGG)."""
    drops = np.sort([steps_.iterations(drop, per_epoch) for drop in config.drops])
    return lambda steps: config.factor ** np.searchsorted(drops, steps, side="right")


def cosine(config: LearningRateConfig, per_epoch: int, warmup: int, last: int) -> Rates:
    """Follow half a cosine from the end of warm-up to the last step (Loshchilov & Hutter 2017)."""

    def rates(steps):
        position = np.clip((steps - warmup) / max(last - warmup, 1), 0, 1)
        return config.end + (1 - config.end) * (1 + np.cos(np.pi * position)) / 2

    return rates


SCHEDULES: dict[str, Callable[[LearningRateConfig, int, int, int], Rates]] = {
    "constant": constant,
    "cosine": cosine,
    "step_drops": step_drops,
}


def make_learning_rates(config: TrainingConfig, steps_per_epoch: int) -> Rates:
    """Return a function from steps (counted from 0) to the learning rates of those steps.

    During warm-up, step i has (i + 1) / warmup of the rate.

    Raises:
        LotteryError: If the schedule is unknown, a drop is given twice, or the warm-up or a drop lies past
            the end of training.
    """
    setting = config.learning_rate_schedule
    if setting.name not in SCHEDULES:
        raise LotteryError(
            f"Expected training.learning_rate_schedule.name as one of {', '.join(SCHEDULES)}. "
            f"Received: {setting.name!r}"
        )
    last = steps_.iterations(config.steps, steps_per_epoch)
    warmup = steps_.iterations(setting.warmup, steps_per_epoch)
    for what, value in (("warmup", setting.warmup), *(("drops", drop) for drop in setting.drops)):
        if steps_.iterations(value, steps_per_epoch) > last:
            raise LotteryError(
                f"Expected training.learning_rate_schedule.{what} within the {last} steps of training. "
                f"Received: {value}"
            )
    drops = [steps_.iterations(drop, steps_per_epoch) for drop in setting.drops]
    if len(set(drops)) != len(drops):
        raise LotteryError(
            f"Expected different training.learning_rate_schedule.drops. Received: {', '.join(setting.drops)}"
        )
    rates = SCHEDULES[setting.name](setting, steps_per_epoch, warmup, last)

    def learning_rates(steps: np.ndarray) -> np.ndarray:
        rising = np.minimum(1, (steps + 1) / warmup) if warmup else 1
        return config.learning_rate * rising * rates(steps)

    return learning_rates
