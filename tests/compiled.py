"""Compiled networks, shared by all tests of a process: to compile one takes seconds, to train it no time.

Sharing changes no result, since a trainer that was used gives the same bits as a new one (`test_loop` and
`test_attempt` hold it). A test that patches something shares with no other.
"""

import hashlib
from collections import OrderedDict

import numpy as np

from tf_lottery.config import DataConfig, LearningRateConfig, ModelConfig, TrainingConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.models import build
from tf_lottery.training.trainer import Trainer

KEPT = 12
owner: str | None = None
"""The test that has trainers to itself, if the present one does."""
lent: set[tuple] = set()
"""Which trainers the present test has in its hands: what it compares must not be one with itself."""
_trainers: OrderedDict[tuple, Trainer] = OrderedDict()


def trainer(
    data: DataConfig, model: ModelConfig, training: TrainingConfig, dataset: Dataset, lend: bool = False
) -> Trainer:
    """A `Trainer`, perhaps a used one; its masks keep all weights, its optimizer is as new.

    Args:
        data, model, training, dataset: as of a `Trainer`.
        lend: whether the caller keeps it. The next one in the same test is another then.
    """
    key = _key(data, model, training, dataset)
    if key is None or key in lent:
        return Trainer(data, model, training, dataset)
    if lend:
        lent.add(key)
    made = _trainers.pop(key, None) or Trainer(data, model, training, dataset)
    _trainers[key] = made
    while len(_trainers) > KEPT:
        _trainers.popitem(last=False)
    set_masks(made.model, {path: np.ones_like(mask) for path, mask in get_masks(made.model).items()})
    made.set_weights(made.initial_weights(0))
    made.reset_optimizer()
    return made


def _key(data, model, training, dataset):
    """All that a trainer depends on; None where it can't be told."""
    if dataset.train.mapped or training.strategy not in ("auto", "one_device"):
        return None
    try:
        builder = build.builder_of(model)
    except LotteryError:
        return None
    if training.learning_rate_schedule == LearningRateConfig():
        training = training.model_copy(update={"steps": "1it", "evaluate_every": "1it"})
    content = hashlib.sha256()
    for part in (dataset.train, dataset.validation, dataset.test):
        for array in (part.take(slice(None)), part.y):
            content.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return (
        owner,
        builder,
        model.model_dump_json(),
        training.model_dump_json(),
        str(data.augment),
        data.pipeline,
        dataset.classes,
        str(dataset.standardized),
        content.hexdigest(),
    )
