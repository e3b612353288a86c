"""The stop that ends a training once the next pruning has settled (You et al. 2020, Early-Bird tickets)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.pruning.masks import Masks, digest
from tf_lottery.training.engine import Engine
from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop

_MASK = "early_bird/"


class EarlyBird(Stop):
    """Draws the masks of the next pruning every so often, and ends the training when they have settled.

    The distance of two masks is the share of the weights that remain now for which they decide differently.
    You et al. divide by all weights; at low densities any two masks would be near then.

    Args:
        engine: The engine that trains.
        every: The number of steps from one look to the next.
        draw: A function from all weights and the present masks to the masks of the next pruning; None if it
            isn't possible, so that the training goes on to its last step.
        distance: The largest distance of masks at successive looks.
        masks: How many masks in a row must be that near to the one before.
        after: The step before which the training doesn't end.
        agree: A function that gets a digest of the masks that were drawn, and raises an error if another
            worker has drawn others.

    Attributes:
        distances: The distances so far.
        ended: The step at which the training ended; None if it went on to its last step.
    """

    def __init__(
        self,
        engine: Engine,
        every: int,
        draw: Callable[[Arrays, Masks], Masks | None],
        distance: float,
        masks: int,
        after: int = 0,
        agree: Callable[[str], None] = lambda digest: None,
    ):
        self._engine, self._every, self._draw = engine, every, draw
        self._distance, self._masks, self._after = distance, masks, after
        self._agree = agree
        self._before: Masks | None = None
        self.distances: list[float] = []
        self.ended: int | None = None

    def steps(self, first: int, last: int) -> Iterable[int]:
        return range(first + self._every, last, self._every)

    def act(self, step: int, passed: Passed) -> None:
        present = self._engine.masks()
        drawn = self._draw(self._engine.weights(), present)
        if drawn is None:
            return
        self._agree(digest(drawn))
        if self._before is not None:
            alive = sum(int(np.count_nonzero(mask)) for mask in present.values())
            differing = sum(int(np.count_nonzero(drawn[path] != self._before[path])) for path in drawn)
            self.distances.append(differing / alive)
        self._before = drawn
        latest = self.distances[-self._masks :]
        if step >= self._after and len(latest) == self._masks and max(latest) < self._distance:
            self.ended = step

    def ends(self) -> bool:
        return self.ended is not None

    def kept(self) -> dict[str, Any]:
        return {"early_bird_distances": self.distances}

    def kept_arrays(self) -> Arrays:
        return {_MASK + path: mask for path, mask in (self._before or {}).items()}

    def restore(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        self.distances = list(kept["early_bird_distances"])
        drawn = {name: value for name, value in arrays.items() if name.startswith(_MASK)}
        self._before = {name.removeprefix(_MASK): value.astype(bool) for name, value in drawn.items()} or None
