"""What the runs of one process share: the data and the compiled network."""

from tf_lottery.config import DataConfig, Strict
from tf_lottery.data import sources
from tf_lottery.data.split import Dataset, split
from tf_lottery.method.spec import RunSpec
from tf_lottery.training import compile_rule
from tf_lottery.training.trainer import Trainer


class Trainers:
    """Keeps the last data set and the last trainer.

    A run on a used trainer gives the same bits as on a new one.
    """

    def __init__(self):
        self._dataset: tuple[str, Dataset] | None = None
        self._trainer: tuple[str, Trainer] | None = None

    def dataset(self, config: DataConfig) -> Dataset:
        """Return the data set that a config names, split into its parts."""
        key = config.model_dump_json()
        if self._dataset is None or self._dataset[0] != key:
            self._dataset = key, split(sources.load(config), config)
        return self._dataset[1]

    def trainer(self, spec: RunSpec) -> Trainer:
        """Return a compiled trainer for a run."""
        parts: tuple[Strict, ...] = (spec.data, spec.model, spec.training)
        key = "".join(part.model_dump_json() for part in parts)
        if self._trainer is None or self._trainer[0] != key:
            compile_rule.configure(spec.training)
            self._trainer = None  # frees the memory before it is needed again
            self._trainer = key, Trainer(*parts, self.dataset(spec.data))
        return self._trainer[1]
