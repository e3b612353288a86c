"""What a driver drives: one study, or several that share a store."""

from typing import Protocol

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.executor import Executor
from tf_lottery.method.arms import is_chain, settings_of
from tf_lottery.method.plan import collect, plan
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import written
from tf_lottery.store.upkeep import trim


class Work(Protocol):
    """Says which runs come next, as a study does."""

    def plan(self, records: list[Record]) -> list[RunSpec]:
        """Return the runs that can start now, those that failed included."""

    def collect(self, records: list[Record]) -> list[Record]:
        """Return the finished runs, labelled with their places."""

    def goes_first(self, spec: RunSpec) -> bool:
        """Return whether a run is to start before others, since many wait for it."""

    def ends_together(self) -> bool:
        """Return whether a rule that ends rounds waits for all replicates, whoever trains them."""

    def check(self, executor: Executor) -> None:
        """Check before anything is trained that the settings fit; raise a LotteryError if they don't."""

    def begin(self, store: Store) -> None:
        """Write down what is about to be trained."""

    def trim(self, store: Store, records: list[Record]) -> None:
        """Delete what isn't kept."""


class OneStudy:
    """One study, as a driver's work.

    Args:
        study: The study, with its data's digest.
    """

    def __init__(self, study: StudyConfig):
        self._study = study

    def plan(self, records: list[Record]) -> list[RunSpec]:
        return plan(self._study, records)

    def collect(self, records: list[Record]) -> list[Record]:
        return collect(self._study, records)

    def goes_first(self, spec: RunSpec) -> bool:
        return is_chain(self._study, spec.arm)

    def ends_together(self) -> bool:
        rules = [settings_of(self._study, arm).pruning.max_accuracy_drop for arm in self._study.arms]
        return any(rule is not None for rule in rules)

    def check(self, executor: Executor) -> None:
        executor.check(self._study)

    def begin(self, store: Store) -> None:
        store.write_study(written(self._study))

    def trim(self, store: Store, records: list[Record]) -> None:
        trim(self._study, store, records)
