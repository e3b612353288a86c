"""Checkpoints: a training in progress on disk, which is resumed from there to the same bits."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf_lottery import arrays, steps
from tf_lottery.arrays import Arrays
from tf_lottery.training.observe import Passed

_PROGRESS, _TRAINED = "progress", "trained/"


@dataclass
class Checkpoint:
    """Everything that is needed to resume a training, except masks that follow from the run's recipe.

    Attributes:
        step: The number of steps that the network has had.
        variables: Every variable of the network that is trained, and of its optimizer.
        since_stop: What passed since the last planned pause.
        kept: What the training's stops need, as JSON holds it; each stop uses names of its own.
        arrays: The arrays that the training's stops need, also under names of their own.
        context: What else decides the bits: the environment, the network, the devices.
    """

    step: int
    variables: Arrays
    since_stop: Passed
    kept: dict[str, Any]
    arrays: Arrays
    context: dict[str, Any]

    @property
    def rewind_digests(self) -> dict[str, str]:
        """The rewind points that are kept already: `rewind/<step>it` -> digest."""
        return self.kept["rewind_digests"]

    def save(self, path: Path) -> None:
        """Write the checkpoint to a file, replacing an earlier one.

        Raises:
            StudyError: If the file can't be written.
        """
        own = {"step": self.step, "since_stop": asdict(self.since_stop), "context": self.context}
        content = {_TRAINED + name: value for name, value in self.variables.items()} | self.arrays
        text = json.dumps({**self.kept, **own})
        arrays.save_sealed(path, content | {_PROGRESS: np.array(text)})

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint that `save` wrote.

        Raises:
            LotteryError: If the file is missing or fails its checksum.
        """
        content = arrays.load_sealed(path)
        progress = json.loads(str(content.pop(_PROGRESS)))
        trained = {name: value for name, value in content.items() if name.startswith(_TRAINED)}
        return cls(
            step=progress.pop("step"),
            variables={name.removeprefix(_TRAINED): value for name, value in trained.items()},
            since_stop=Passed(**progress.pop("since_stop")),
            context=progress.pop("context"),
            kept=progress,
            arrays={name: value for name, value in content.items() if name not in trained},
        )


class Cadence:
    """Decides when a checkpoint is due.

    Args:
        every: How often one is due: `60s`, `5000it`, `2ep` or `never`.
        steps_per_epoch: The number of steps in an epoch.
        first: The step at which the training begins or is resumed.
        clock: A function that returns the time in seconds.
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
        """Record that a checkpoint was made at this step."""
        self._when, self._step = self._clock(), step
