"""The checks that are made before anything is trained."""

import numpy as np

from tf_lottery import steps
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.redraw import redraw
from tf_lottery.length import Length
from tf_lottery.method.arms import chain_below, settings_of
from tf_lottery.method.plan import foreseen
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.runs.start import check_start
from tf_lottery.runs.trainers import Trainers
from tf_lottery.training.learning_rates import make_learning_rates


def check_fit(study: StudyConfig, spec: RunSpec, trainers: Trainers, records: list[Record]) -> None:
    """Check that the settings fit the data and the network.

    Args:
        study: The study that is about to begin or to go on.
        spec: The run that is trained first.
        trainers: The study's data and networks.
        records: The records of the study's finished runs.

    Raises:
        LotteryError: If the data doesn't fill a batch, a rewind point is too late, a layer pattern has no
            effect, or the network differs from the one that the finished runs trained, or draws the same
            weights under another seed.
    """
    trainer = trainers.trainer(spec)
    settings = {arm: settings_of(study, arm) for arm in study.arms}
    lengths = {
        arm: Length.of(each.training, len(trainers.dataset(each.data).train))
        for arm, each in settings.items()
    }
    for arm, each in settings.items():
        _check_rewinding(arm, each, lengths[arm], lengths[chain_below(study, arm)])
        layer_rates(trainer.kernels, each.pruning.rate, each.pruning.layer_rates)
    for each in one_of_each_arm(study):
        check_start(each)
    own = [r for r in records if (r.spec.data.digest, r.spec.model) == (spec.data.digest, spec.model)]
    if any(r.resolved["architecture"] != trainer.resolved["architecture"] for r in own):
        raise LotteryError(
            f"{study.model.build or study.model.name} builds another network than the one that this study "
            "began with. Use --output to start a study of its own."
        )
    if study.replicates > 1 or len(study.arms) > 1:
        first, second = (trainer.initial_weights(seed) for seed in (0, 1))
        redraw(trainer.model, trainer.kernels, first, second, "model/")


def _check_rewinding(arm: str, study: StudyConfig, length: Length, below: Length) -> None:
    """Check where an arm's rounds begin and end, and their learning rates.

    Args:
        arm: The arm.
        study: The study with the arm's settings.
        length: The length of the arm's runs.
        below: The length of the dense run whose states the arm returns to.
    """
    rewind, (first, last) = study.rewind, length.span(study.rewind)
    if rewind.to != steps.END and first >= min(length.last, below.last):
        raise LotteryError(
            f"Expected a rewind point before the last step, {min(length.last, below.last)}. Received: {first}"
        )
    if rewind.to.endswith("ep") and length.per_epoch != below.per_epoch:
        raise LotteryError(
            f"An epoch of arm {arm!r} has {length.per_epoch} steps and one of its dense run "
            f"{below.per_epoch}, so rewind.to {rewind.to} is unclear. Give it in steps, such as "
            f"{below.step(rewind.to)}it."
        )
    rates = make_learning_rates(study.training, length.per_epoch)
    if not rates(np.array([last - 1]))[0] and last > length.last:
        raise LotteryError(
            f"The learning rate of {study.training.learning_rate_schedule.name} is 0 at the end of training, "
            "so nothing would be learned from there on. Give learning_rate_schedule an end above 0, or "
            "rewind to an earlier step."
        )


def one_of_each_arm(study: StudyConfig) -> list[RunSpec]:
    """Return the specs of one replicate and trial, up to the first round of every arm."""
    first = max(1, *(min(arm.rounds or [1]) for arm in study.arms.values()))
    arms = {}
    for name, arm in study.arms.items():
        own = arm.pruning | ({"rounds": first} if "rounds" in arm.pruning else {})
        arms[name] = arm.model_copy(update={"trials": 1, "pruning": own})
    pruning = study.pruning.model_copy(update={"rounds": first})
    return foreseen(study.model_copy(update={"replicates": 1, "arms": arms, "pruning": pruning})) or []
