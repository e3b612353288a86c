"""Tests finished runs again, on compiled networks, with the weights that their test accuracy is of."""

from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

import numpy as np

from tf_lottery.analysis.answers import Answers, check_record
from tf_lottery.analysis.calibration import calibration
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.training.evaluate import make_outputs
from tf_lottery.training.optimizers import outputs_of
from tf_lottery.training.trainer import Trainer


class AnswerMeter:
    """Tests a study's runs with their early-stop weights. What each takes is compiled once.

    Args:
        store: The store that holds the runs.
        trainers: Compiled networks.
    """

    def __init__(self, store: Store, trainers: Trainers):
        self._store, self._trainers = store, trainers
        self._outputs: WeakKeyDictionary[Trainer, Callable[[], np.ndarray]] = WeakKeyDictionary()

    def answers(self, record: Record) -> Answers:
        """Return what a run answers.

        Args:
            record: The run's record.

        Raises:
            LotteryError: If it isn't what its record says.
            DamagedError: If one of its files fails its checksum.
        """
        spec = record.spec
        training = spec.training.model_copy(update={"strategy": "one_device", "engine": "auto"})
        # Whoever trained the run, one device tests it.
        trainer = self._trainers.trainer(spec.model_copy(update={"training": training}))
        dataset = self._trainers.dataset(spec.data)
        trainer.begin(self._store.masks(record.key), self._store.weights(record.key, "early_stop"), 0, None)
        if trainer not in self._outputs:
            self._outputs[trainer] = make_outputs(trainer.model, dataset.test, trainer.resolved["xla"])
        outputs, labels = self._outputs[trainer](), dataset.test.y
        check_record(record, outputs, labels, float(np.mean(trainer.loss(labels, outputs))))
        chosen = outputs.argmax(axis=-1)
        return Answers(record, chosen, labels, dataset.classes, calibration(outputs, labels, kind_of(spec)))

    def all(self, records: Iterable[Record], passed: Callable[[int], None]) -> dict[str, Answers]:
        """Return key -> what a run answers. Runs of one network are tested after one another.

        Args:
            records: The runs' records.
            passed: A function that is called with the number of runs that are tested.

        Raises:
            LotteryError: If a run isn't what its record says.
            DamagedError: If a file of a run fails its checksum.
        """
        runs = {record.key: record for record in records}  # arms may share runs
        found: dict[str, Answers] = {}
        for record in sorted(runs.values(), key=lambda record: _network(record.spec)):
            found[record.key] = self.answers(record)
            passed(len(found))
        return found


def kind_of(spec: RunSpec) -> str:
    """Return what a run's outputs are: `logits` or `probabilities` of one class among several, else `values`.

    Args:
        spec: The run.
    """
    return outputs_of(spec.training) if "categorical" in spec.training.loss else "values"


def _network(spec: RunSpec) -> str:
    parts = (spec.data, spec.model, spec.training, spec.small)
    return "".join(part.model_dump_json() for part in parts if part is not None)
