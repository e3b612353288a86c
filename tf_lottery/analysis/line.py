"""Measures the networks on the line between two finished runs, on a compiled network."""

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np

from tf_lottery.analysis.interpolation import along
from tf_lottery.arrays import Arrays
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.masks import Masks
from tf_lottery.runs.subject import MODEL
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.training.recalibrate import Recalibration, normalizations
from tf_lottery.training.trainer import Trainer

PARTS = ("validation", "test")


class LineMeter:
    """Measures the lines between a study's runs. What each takes is compiled once.

    Args:
        store: The store that holds the runs.
        trainers: Compiled networks.
        points: The number of points of a line, both ends included.
        batches: How many training batches statistics of batch normalization are recalibrated on.
    """

    def __init__(self, store: Store, trainers: Trainers, points: int, batches: int):
        self._store, self._trainers, self._points, self._batches = store, trainers, points, batches
        self._recalibrations: WeakKeyDictionary[Trainer, Recalibration | None] = WeakKeyDictionary()

    def errors(
        self, first: RunSpec, second: RunSpec, passed: Callable[[int], None]
    ) -> dict[str, list[float]]:
        """Return the errors on the line between the last weights of two runs.

        Args:
            first: The first run.
            second: The second run, of the same network with the same masks.
            passed: A function that is called with the number of points that are measured.

        Returns:
            `validation`, `test` and, if the network has batch normalization, `validation_recalibrated` and
            `test_recalibrated` -> errors in percent, one a point.

        Raises:
            DamagedError: If a file of a run fails its checksum.
        """
        store, masks = self._store, self._store.masks(first.key)
        if any(np.any(mask != masks[path]) for path, mask in store.masks(second.key).items()):
            raise RuntimeError(
                f"{first.describe()} and {second.describe()} differ in masks: please report this"
            )
        training = first.training.model_copy(update={"strategy": "one_device", "engine": "auto"})
        # Whoever trained the runs, one device measures them.
        trainer = self._trainers.trainer(first.model_copy(update={"training": training}))
        weights = [store.weights(spec.key) for spec in (first, second)]
        trainer.begin(masks, weights[0], 0, None)
        recalibrate = self._recalibration(trainer, first)

        def measure(weights: Arrays) -> dict[str, float]:
            check_zeros(weights, masks)
            trainer.set_weights(weights)
            errors = {part: _error(trainer, part) for part in PARTS}
            if recalibrate is not None:
                recalibrate()
                errors |= {f"{part}_recalibrated": _error(trainer, part) for part in PARTS}
            return errors

        return along(*weights, measure, self._points, passed)

    def _recalibration(self, trainer: Trainer, spec: RunSpec) -> Recalibration | None:
        """Return what recalibrates a network, None if it has no batch normalization."""
        if trainer not in self._recalibrations:
            examples, xla = len(self._trainers.dataset(spec.data).train), trainer.resolved["xla"]
            made = None
            if normalizations(trainer.model):
                made = Recalibration(trainer.model, trainer.feed, examples, self._batches, xla)
            self._recalibrations[trainer] = made
        return self._recalibrations[trainer]


def check_zeros(weights: Arrays, masks: Masks) -> None:
    """Assert that pruned weights are exactly 0.0.

    Args:
        weights: All weights by name.
        masks: The masks by kernel path.
    """
    for path, mask in masks.items():
        if np.any(weights[MODEL + path][~mask]):
            raise RuntimeError(f"pruned weights of {path} are not 0.0: please report this")


def _error(trainer: Trainer, part: str) -> float:
    _, accuracy = trainer.evaluate[part]()  # unlike `measure` it doesn't compile the training
    return round(100 * (1 - accuracy), 9)  # a share of examples, without the error of its arithmetic
