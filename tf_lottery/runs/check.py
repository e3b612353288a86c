"""The checks that are made before anything is trained."""

from tf_lottery.config import StudyConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.redraw import redraw
from tf_lottery.length import Length
from tf_lottery.method.plan import foreseen
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.runs.start import check_start
from tf_lottery.training.trainer import Trainer


def check_fit(study: StudyConfig, dataset: Dataset, trainer: Trainer, records: list[Record]) -> None:
    """Check that the settings fit the data and the network.

    Args:
        study: The study that is about to begin or to go on.
        dataset: The study's data.
        trainer: The trainer of the study's network.
        records: The records of the study's finished runs.

    Raises:
        LotteryError: If the data doesn't fill a batch, a rewind point is too late, a layer pattern has no
            effect, or the network differs from the one that the finished runs trained, or draws the same
            weights under another seed.
    """
    length = Length.of(study.training, len(dataset.train))
    for settings in map(study.of_arm, study.arms):
        rewind = length.step(settings.rewind.to)
        if rewind >= length.last:
            raise LotteryError(
                f"Expected a rewind point before the last step, {length.last}. Received: {rewind}"
            )
        layer_rates(trainer.kernels, settings.pruning.rate, settings.pruning.layer_rates)
    for spec in _one_of_each_arm(study):
        check_start(spec)
    if any(r.resolved["architecture"] != trainer.resolved["architecture"] for r in records):
        raise LotteryError(
            f"{study.model.build or study.model.name} builds another network than the one that this study "
            "began with. Use --output to start a study of its own."
        )
    if study.replicates > 1 or len(study.arms) > 1:
        first, second = (trainer.initial_weights(seed) for seed in (0, 1))
        redraw(trainer.model, trainer.kernels, first, second, "model/")


def _one_of_each_arm(study: StudyConfig) -> list[RunSpec]:
    """Return the specs of one replicate and trial, up to the first round of every arm."""
    first = max(1, *(min(arm.rounds or [1]) for arm in study.arms.values()))
    arms = {name: arm.model_copy(update={"trials": 1}) for name, arm in study.arms.items()}
    pruning = study.pruning.model_copy(update={"rounds": first})
    return foreseen(study.model_copy(update={"replicates": 1, "arms": arms, "pruning": pruning})) or []
