"""A tuning on TensorBoard's HParams page: a line for each candidate."""

import shutil

from tf_lottery.analysis.tensorboard.hparams import Line, setting, write_line
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
        settings = {
            name: setting(value) for name, value in (own_values(tuned) | tried.candidate.values).items()
        }
        line = Line(
            f"{paths.root.name}/candidate {tried.candidate.number}",
            {name: value for name, value in settings.items() if value is not None},
            {tag: figures[name] for name, tag in METRICS.items() if figures[name] is not None},
        )
        file = EventFile(root / tried.candidate.name)
        write_line(file, line)
        file.close()
