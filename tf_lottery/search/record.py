"""The record of a run that `fit` trained."""

from typing import Any

from tf_lottery.method.spec import Finished
from tf_lottery.store.store import Store


class FitRecord(Finished):
    """One finished run of a search.

    `value` is the monitored quantity at early stop. Early stop is the epoch at which that quantity was best,
    found afterwards as in the paper.
    """

    monitor: str
    """The monitored quantity, under the name that `fit` logs."""
    mode: str
    """Whether more or less of it is better, `max` or `min`."""
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
    """In a dense run: step -> what callbacks had changed by then (learning rate, own state): at the
    beginning, and at each end of an epoch by which it had changed again."""
    resolved: dict[str, Any] = {}

    @property
    def monitored(self) -> float:
        """The value at early stop, with its sign turned if less is better."""
        return self.value if self.mode == "max" else -self.value

    @property
    def shown(self) -> str:
        """The value at early stop, formatted for people."""
        return f"{self.value:.4g}"


class SearchStore(Store):
    """The store of a search's runs, described by `search.json`. It takes over no runs of neighbours."""

    record_type = FitRecord
    adopts = False

    def write_study(self, text: str) -> None:
        """Write nothing: a search isn't a study that `tf-lottery run` could go on with."""
