"""The stop at which masks change within a training."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.pruning.masks import Masks, digest
from tf_lottery.training.engine import Engine
from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop

_MASK = "mask_in_training/"


@dataclass(frozen=True)
class Change:
    """The weights that remain from a step on: kernel path -> how many."""

    step: int
    remaining: dict[str, int]


class Changing(Engine, Protocol):
    """An `Engine` whose masks may change in the course of a training."""

    def set_masks(self, masks: Masks) -> None:
        """Replace the masks. What is pruned becomes 0.0, and so do its slots; what grows starts there."""


class MaskUpdates(Stop):
    """Changes the masks of a training at planned steps.

    Args:
        engine: The engine that trains.
        at: The steps of the updates.
        update: A function from the step, all weights and the masks to the new masks.
        agree: A function that gets a digest of the new masks, and raises an error if another worker has
            another one.

    Attributes:
        changes: How many weights of each kernel remained after each update so far; the first entry is of
            step 0, at which such a training begins.
    """

    def __init__(
        self,
        engine: Changing,
        at: Sequence[int],
        update: Callable[[int, Arrays, Masks], Masks],
        agree: Callable[[str], None] = lambda digest: None,
    ):
        self._engine, self._at, self._update, self._agree = engine, sorted(at), update, agree
        self.changes = [Change(0, _remaining(engine.masks()))]

    def steps(self, first: int, last: int) -> Iterable[int]:
        return (step for step in self._at if first <= step <= last)

    def act(self, step: int, passed: Passed) -> None:
        masks = self._update(step, self._engine.weights(), self._engine.masks())
        self._agree(digest(masks))
        self._engine.set_masks(masks)
        self.changes.append(Change(step, _remaining(masks)))

    def kept(self) -> dict[str, Any]:
        return {"mask_changes": [[change.step, change.remaining] for change in self.changes]}

    def kept_arrays(self) -> Arrays:
        return {_MASK + path: mask for path, mask in self._engine.masks().items()}

    def prepare(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        self._engine.set_masks(
            {
                name.removeprefix(_MASK): value.astype(bool)
                for name, value in arrays.items()
                if name.startswith(_MASK)
            }
        )
        self.changes = [Change(step, dict(remaining)) for step, remaining in kept["mask_changes"]]


def _remaining(masks: Masks) -> dict[str, int]:
    return {path: int(np.count_nonzero(mask)) for path, mask in masks.items()}
