"""Where did we stop? A training in progress on disk, so that going on gives the same bits."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_lottery import arrays, steps
from tf_lottery.arrays import Arrays
from tf_lottery.training.loop import Passed
from tf_lottery.training.observe import Point

_PROGRESS, _TRAINED, _EARLY_STOP = "progress", "trained/", "early_stop/"


@dataclass
class Checkpoint:
    """All that a training needs to go on, masks aside: they follow from its run's parent.

    Attributes:
        step: that the network has had.
        variables: every variable of the network that is trained and of its optimizer.
        early_stop: weights at the minimum of the validation loss so far.
        points: the evaluations so far.
        since_stop: what passed since the loop's last stop.
        since_evaluation: what passed from the last evaluation to that stop.
        rewind_digests: of the rewind points that are kept already.
        seconds: where the time went.
        context: what else decides the bits: the environment, the network, the devices.
    """

    step: int
    variables: Arrays
    early_stop: Arrays
    points: list[Point]
    since_stop: Passed
    since_evaluation: Passed
    rewind_digests: dict[str, str]
    seconds: dict[str, float]
    context: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write it, in place of an earlier one.

        Raises:
            StudyError: if it can't be written.
        """
        progress = {
            "step": self.step,
            "points": [asdict(point) for point in self.points],
            "since_stop": asdict(self.since_stop),
            "since_evaluation": asdict(self.since_evaluation),
            "rewind_digests": self.rewind_digests,
            "seconds": self.seconds,
            "context": self.context,
        }
        found = {_TRAINED + name: value for name, value in self.variables.items()}
        found |= {_EARLY_STOP + name: value for name, value in self.early_stop.items()}
        arrays.save_sealed(path, found | {_PROGRESS: np.array(json.dumps(progress))})

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read what `save` wrote.

        Raises:
            LotteryError: missing, or not as it was written.
        """
        found = arrays.load_sealed(path)
        progress = json.loads(str(found.pop(_PROGRESS)))
        return cls(
            step=progress["step"],
            variables=_part(found, _TRAINED),
            early_stop=_part(found, _EARLY_STOP),
            points=[Point(**point) for point in progress["points"]],
            since_stop=Passed(**progress["since_stop"]),
            since_evaluation=Passed(**progress["since_evaluation"]),
            rewind_digests=progress["rewind_digests"],
            seconds=progress["seconds"],
            context=progress["context"],
        )


class Cadence:
    """Says when a checkpoint is due.

    Args:
        every: `60s`, `5000it`, `2ep` or `never`.
        steps_per_epoch: of the training.
        first: the step at which it begins, or goes on.
        clock: gives seconds.
    """

    def __init__(
        self, every: str, steps_per_epoch: int, first: int, clock: Callable[[], float] = time.monotonic
    ):
        self._clock, self._seconds = clock, steps.seconds(every)
        in_steps = self._seconds is None and every != steps.NEVER
        self._steps = steps.iterations(every, steps_per_epoch) if in_steps else None
        self.kept(first)

    def due(self, step: int) -> bool:
        """Return whether a checkpoint is due at this step."""
        if self._seconds is not None:
            return self._clock() - self._when >= self._seconds
        return self._steps is not None and step - self._step >= self._steps

    def kept(self, step: int) -> None:
        """Take note that a checkpoint was made at this step."""
        self._when, self._step = self._clock(), step


def _part(found: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
