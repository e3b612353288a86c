"""What the runs of one process share: the data and the compiled network."""

from collections.abc import Callable
from typing import Any

from tf_lottery.config import DataConfig, LearningRateConfig, ModelConfig, TrainingConfig
from tf_lottery.data import sources
from tf_lottery.data.split import Dataset, split
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.small import narrowed
from tf_lottery.training import compile_rule
from tf_lottery.training.trainer import Trainer

KEPT = 3
"""How many networks and data sets are kept: arms with other data or another training take turns."""


class Trainers:
    """Keeps the last data sets and trainers.

    A run on a used trainer gives the same bits as on a new one.
    """

    def __init__(self):
        self._datasets: dict[str, Dataset] = {}
        self._narrower: dict[str, tuple[ModelConfig, dict[str, Any]]] = {}
        self._trainers: dict[str, Trainer] = {}

    def dataset(self, config: DataConfig) -> Dataset:
        """Return the data set that a config names, split into its parts."""
        key = config.model_dump_json()
        return _latest(self._datasets, key, lambda: split(sources.load(config), config))

    def trainer(self, spec: RunSpec) -> Trainer:
        """Return a trainer for a run, compiled unless another engine may train the run."""
        model, _ = self.narrowed(spec)
        key = "".join(part.model_dump_json() for part in (spec.data, model, _compiled(spec.training)))

        def make() -> Trainer:
            compile_rule.configure(spec.training)
            trainer = Trainer(spec.data, model, spec.training, self.dataset(spec.data))
            if spec.training.engine == "dense":
                trainer.compile()  # what can't be compiled ends the study, not a run
            return trainer

        return _latest(self._trainers, key, make)

    def narrowed(self, spec: RunSpec) -> tuple[ModelConfig, dict[str, Any]]:
        """Return the settings of a run's network, narrower if the spec says so, and what its record tells."""
        if spec.small is None:
            return spec.model, {}
        key = "".join(part.model_dump_json() for part in (spec.data, spec.model, spec.small))
        return _latest(self._narrower, key, lambda: narrowed(spec, self.dataset(spec.data)))


def _compiled(training: TrainingConfig) -> TrainingConfig:
    """Return the settings that a compiled network depends on. How long it trains isn't one of them where
    learning rates don't depend on it."""
    if training.learning_rate_schedule != LearningRateConfig():
        return training
    return training.model_copy(update={"steps": "1it", "evaluate_every": "1it"})


def _latest(kept: dict[str, Any], key: str, make: Callable[[], Any]) -> Any:
    """Return what is kept under a key, or make it. What was used longest ago makes room."""
    if key not in kept:
        while len(kept) >= KEPT:  # frees the memory before it is needed again
            del kept[next(iter(kept))]
        kept[key] = make()
    kept[key] = kept.pop(key)
    return kept[key]
