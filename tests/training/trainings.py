"""Small real trainings on digits."""

import pytest

from tests import compiled
from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig
from tf_lottery.training import compile_rule


def trainer(dataset, model=None, data=None, **training):
    """A trainer as new, perhaps of an earlier test; what isn't compiled yet is when it is first used."""
    config = TrainingConfig(**training)
    compile_rule.configure(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_lottery.training.trainer.compile_all", lambda loop, evaluate: 0.0)
        return compiled.trainer(data or DataConfig(), model or ModelConfig(), config, dataset, lend=True)
