"""What can be said to be wrong before anything is trained."""

from tf_lottery import steps
from tf_lottery.config import StudyConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.arms import ARMS
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.pruning.schedules import layer_rates


def check_names(study: StudyConfig) -> None:
    """Check what the study names, as far as that needs neither data nor network.

    Raises:
        LotteryError: an unknown arm or criterion.
    """
    for arm in study.arms:
        if arm not in ARMS:
            raise LotteryError(f"Expected arms of {', '.join(ARMS)}. Received: {arm!r}")
    if study.pruning.criterion not in CRITERIA:
        raise LotteryError(
            f"Expected pruning.criterion of {', '.join(CRITERIA)}. Received: {study.pruning.criterion!r}"
        )


def check_fit(study: StudyConfig, dataset: Dataset, kernels: list[str]) -> None:
    """Check that the settings fit the data and the network.

    Args:
        study: which is about to begin.
        dataset: its data.
        kernels: paths of the network's prunable kernels.

    Raises:
        LotteryError: a batch that the data doesn't fill, a rewind point past the end, a
            layer pattern that decides nothing.
    """
    per_epoch = steps.epoch(len(dataset.train), study.training.batch_size)
    last = steps.iterations(study.training.steps, per_epoch)
    rewind = steps.iterations(study.rewind.to, per_epoch)
    if rewind >= last:
        raise LotteryError(f"Expected a rewind point before the last step, {last}. Received: {rewind}")
    layer_rates(kernels, study.pruning.rate, study.pruning.layer_rates)
