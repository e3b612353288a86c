"""A tuning in TensorBoard's HParams dashboard: a line for each candidate."""

import shutil
from typing import Any

from tensorboard.plugins.hparams import api

from tf_lottery.training.events import EventFile
from tf_lottery.tuning.answer import own_values, row
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tuned

METRICS = {
    "value": "objective",
    "cost": "cost",
    "density": "density of the ticket",
    "validation_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
}
"""What is shown of a candidate -> its name."""


def write_hparams(tuned: Tuned, paths: TuningPaths) -> None:
    """Write the candidates anew, with their settings and what they came to.

    Args:
        tuned: What the tuning came to so far.
        paths: Its files.
    """
    root = paths.tensorboard / "hparams"
    shutil.rmtree(root, ignore_errors=True)
    for tried in tuned.tried:
        figures = row(tried, tuned.tuning.tune)
        settings = own_values(tuned) | tried.candidate.values
        settings = {name: _value(value) for name, value in settings.items() if value is not None}
        file = EventFile(root / tried.candidate.name)
        file.summary(api.hparams_pb(settings, trial_id=f"candidate {tried.candidate.number}"))
        for name, tag in METRICS.items():
            if figures[name] is not None:
                file.scalar(tag, figures[name], 0)
        file.close()


def _value(value: Any) -> str | bool | float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
