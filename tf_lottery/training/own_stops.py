"""Stops of one's own, which look at a training and change nothing.

A module that a study names in `imports` adds one: a function `View -> Stop` and a line in `STOPS`.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tf_lottery.arrays import Arrays
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.masks import Masks
from tf_lottery.training.engine import Engine
from tf_lottery.training.stop import Stop


@dataclass(frozen=True)
class View:
    """What a stop of one's own may look at.

    Attributes:
        spec: A copy of the run's spec.
        masks: A function that returns the present masks by kernel path.
        weights: A function that returns copies of all weights, by `model/<path>`.
        measure: A function that returns loss and accuracy on `validation`.
    """

    spec: RunSpec
    masks: Callable[[], Masks]
    weights: Callable[[], Arrays]
    measure: Callable[[str], tuple[float, float]]


STOPS: dict[str, Callable[[View], Stop]] = {}
"""Name -> a function that makes a stop for a run. It is made for every run that this process trains."""


def own_stops(spec: RunSpec, engine: Engine) -> list[Stop]:
    """Return the stops in `STOPS` for one run.

    Args:
        spec: The run.
        engine: The engine that trains it.
    """
    view = View(spec.model_copy(deep=True), engine.masks, engine.weights, engine.measure)
    return [_Looking(name, make(view)) for name, make in STOPS.items()]


class _Looking(Stop):
    """Passes on what lets a stop look. It can't end a training; a checkpoint keeps what it needs apart."""

    def __init__(self, name: str, stop: Stop):
        self._stop, self._name = stop, f"own/{name}/"
        self.reached, self.passed, self.act = stop.reached, stop.passed, stop.act

    def steps(self, first: int, last: int) -> list[int]:
        return [operator.index(step) for step in self._stop.steps(first, last)]  # NumPy's, too

    def kept(self) -> dict[str, Any]:
        return {self._name: self._stop.kept()}

    def kept_arrays(self) -> Arrays:
        return {self._name + name: value for name, value in self._stop.kept_arrays().items()}

    def restore(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        own = {n.removeprefix(self._name): v for n, v in arrays.items() if n.startswith(self._name)}
        self._stop.restore(kept.get(self._name, {}), own)
