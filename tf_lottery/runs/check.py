"""What can be said to be wrong before anything is trained."""

from tf_lottery import steps
from tf_lottery.config import StudyConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.redraw import redraw
from tf_lottery.method.spec import Record
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.training.trainer import Trainer


def check_fit(study: StudyConfig, dataset: Dataset, trainer: Trainer, records: list[Record]) -> None:
    """Check that the settings fit the data and the network.

    Args:
        study: which is about to begin, or to go on.
        dataset: its data.
        trainer: with its network.
        records: of the study's finished runs.

    Raises:
        LotteryError: a batch that the data doesn't fill, a rewind point past the end, a
            layer pattern that decides nothing, a network that differs from the one that the
            finished runs trained, or that draws the same weights under another seed.
    """
    per_epoch = steps.epoch(len(dataset.train), study.training.batch_size)
    last = steps.iterations(study.training.steps, per_epoch)
    rewind = steps.iterations(study.rewind.to, per_epoch)
    if rewind >= last:
        raise LotteryError(f"Expected a rewind point before the last step, {last}. Received: {rewind}")
    layer_rates(trainer.kernels, study.pruning.rate, study.pruning.layer_rates)
    if any(r.resolved["architecture"] != trainer.resolved["architecture"] for r in records):
        raise LotteryError(
            f"Expected the network that this study began with. Received: another one from "
            f"{study.model.build or study.model.name}. Use --output for a study of its own."
        )
    if study.replicates > 1 or len(study.arms) > 1:
        first, second = (trainer.initial_weights(seed) for seed in (0, 1))
        redraw(trainer.model, trainer.kernels, first, second, "model/")
