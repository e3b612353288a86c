"""Small real trainings on digits."""

from tf_lottery.config import ModelConfig, TrainingConfig
from tf_lottery.training.trainer import Trainer

THREADS = {"threads": 1}


def trainer(dataset, model=None, **training):
    return Trainer(model or ModelConfig(), TrainingConfig(**THREADS, **training), dataset)
