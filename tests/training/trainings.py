"""Small real trainings on digits."""

import pytest

from tests import compiled
from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig
from tf_lottery.training import compile_rule
from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop


def trainer(dataset, model=None, data=None, **training):
    """A trainer as new, perhaps of an earlier test; what isn't compiled yet is when it is first used."""
    config = TrainingConfig(**training)
    compile_rule.configure(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_lottery.training.trainer.compile_all", lambda loop, evaluate: 0.0)
        return compiled.trainer(data or DataConfig(), model or ModelConfig(), config, dataset, lend=True)


class Calling(Stop):
    """Pauses at steps, and calls a function there with the step and what passed since the last of them."""

    def __init__(self, at, call=lambda step, passed: None):
        self._at, self._call, self._passed = list(at), call, Passed()

    def steps(self, first, last):
        return self._at

    def passed(self, passed):
        self._passed = passed

    def act(self, step, passed):
        self._call(step, self._passed)
