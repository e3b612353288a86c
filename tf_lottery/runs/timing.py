"""Trains a few seconds of a run, to estimate what all of it will take."""

import time

from tf_lottery.data.order import BatchOrder
from tf_lottery.length import Length
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.trainers import Trainers

SECONDS = 3.0


def time_a_run(spec: RunSpec, last: int) -> tuple[float, int]:
    """Estimate the seconds and the bytes on the disk that a run will take.

    Args:
        spec: The spec of any of the study's runs.
        last: The run's last step.

    Returns:
        The seconds and the bytes.
    """
    trainers = Trainers()
    dataset, trainer = trainers.dataset(spec.data), trainers.trainer(spec)
    every = Length.of(spec.training, len(dataset.train)).evaluate_every
    trainer.set_weights(trainer.initial_weights(0))
    order = BatchOrder(spec.order_seed, len(dataset.train), spec.training.batch_size)
    began, step = time.perf_counter(), 0
    while step < last and time.perf_counter() - began < SECONDS:
        trainer.train(step, min(step + 100, last), order, ())
        step = min(step + 100, last)
    a_step = (time.perf_counter() - began) / step
    began = time.perf_counter()
    trainer.measure("validation")
    trainer.check()
    an_evaluation = time.perf_counter() - began
    weights = sum(value.nbytes for value in trainer.weights().values())
    size = 2 * weights  # those of the last step and of early stop
    return last * a_step + (last / every + 2) * an_evaluation, size
