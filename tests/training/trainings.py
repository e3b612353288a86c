"""Small real trainings on digits."""

from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig
from tf_lottery.training import compile_rule
from tf_lottery.training.trainer import Trainer


def trainer(dataset, model=None, data=None, **training):
    config = TrainingConfig(**training)
    compile_rule.configure(config)
    return Trainer(data or DataConfig(), model or ModelConfig(), config, dataset)
