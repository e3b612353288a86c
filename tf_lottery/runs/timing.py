"""Trains a few seconds of a run, to estimate what all of it will take."""

import time

from tf_lottery.data.order import BatchOrder
from tf_lottery.length import Length
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.engines import choose
from tf_lottery.runs.trainers import Trainers

SECONDS = 3.0


def time_a_run(spec: RunSpec, last: int, trainers: Trainers) -> tuple[float, int]:
    """Estimate the seconds that a step takes, evaluations included, and the bytes that a run takes.

    Args:
        spec: The spec of any of the study's runs.
        last: How many steps the run trains.
        trainers: Compiled networks.

    Returns:
        The seconds a step, and the bytes on the disk.
    """
    dataset, trainer = trainers.dataset(spec.data), trainers.trainer(spec)
    every = Length.of(spec.training, len(dataset.train)).evaluate_every
    trainer.set_weights(trainer.initial_weights(0))
    engine = choose(spec, trainer, dataset, last).engine
    order = BatchOrder(spec.order_seed, len(dataset.train), spec.training.batch_size)
    began, step = time.perf_counter(), 0
    while step < last and time.perf_counter() - began < SECONDS:
        engine.train(step, min(step + 100, last), order, ())
        step = min(step + 100, last)
    a_step = (time.perf_counter() - began) / step
    began = time.perf_counter()
    engine.measure("validation")
    engine.check()
    an_evaluation = time.perf_counter() - began
    weights = sum(value.nbytes for value in engine.weights().values())
    size = 2 * weights  # those of the last step and of early stop
    return a_step + (1 / every + 2 / last) * an_evaluation, size
