"""The record of a run that `fit` trained."""

from typing import Any

from tf_lottery.method.spec import Finished
from tf_lottery.store.store import Store


class FitRecord(Finished):
    """One finished run of a search.

    `value` is the monitored quantity at early stop, which is the epoch at which it was best, found afterwards
    as in the paper.
    """

    monitor: str
    """What was monitored, as `fit` calls it."""
    mode: str
    """Which is better, `max` or `min`."""
    value: float
    epoch: int
    """The epoch of early stop, counted from 1, rewound epochs included."""
    final: dict[str, float | None]
    """The logs of the last epoch."""
    history: dict[str, list[float | None]]
    """The scalars of the history that `fit` returned, with None for NaN and infinity."""
    epochs: list[int]
    """The epochs that the history belongs to, counted from 1."""
    states: dict[str, Any] = {}
    """In a dense run: rewind point -> what callbacks had changed by then (learning rate, own state)."""
    resolved: dict[str, Any] = {}

    @property
    def monitored(self) -> float:
        """The value at early stop, so that more is better."""
        return self.value if self.mode == "max" else -self.value

    @property
    def shown(self) -> str:
        """The value at early stop, as people read it."""
        return f"{self.value:.4g}"


class SearchStore(Store):
    """The runs of a search on disk. It takes over no run of its neighbours; `search.json` says what it is."""

    record_type = FitRecord
    adopts = False

    def write_study(self, text: str) -> None:
        """Write nothing: a search isn't a study that `tf-lottery run` could go on with."""
