"""Candidates that are trained side by side: what the driver of a tuning drives."""

from collections.abc import Sequence

from tf_lottery.config_tune import TuneConfig
from tf_lottery.drivers.executor import Executor
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.method.plan import collect
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.steps import END
from tf_lottery.store.store import Store
from tf_lottery.tuning.candidate import CHAIN, Candidate
from tf_lottery.tuning.outcome import Front
from tf_lottery.tuning.stages import Stage, stage


class Batch:
    """Candidates that were proposed before the results of any of them were known.

    Args:
        candidates: The candidates, with their data's digests.
        tune: The section `tune`.
        front: The front when they were proposed.
        references: The accuracy of the dense network that candidates of each seed are held to; nothing where
            the study's own setting isn't trained yet.

    Attributes:
        refused: Number and seed of a candidate that doesn't fit its data or network -> the reason.
    """

    def __init__(
        self, candidates: Sequence[Candidate], tune: TuneConfig, front: Front, references: dict[int, float]
    ):
        self.candidates = list(candidates)
        self.refused = {(each.number, each.study.seed): each.refused for each in candidates if each.refused}
        self._tune, self._front, self._references = tune, front, references

    def stage(self, candidate: Candidate, records: Sequence[Record]) -> Stage:
        """Return where a candidate stands."""
        reference = self._references.get(candidate.study.seed)
        return stage(candidate, records, self._tune, self._front, reference)

    def plan(self, records: list[Record]) -> list[RunSpec]:
        """Return the runs that can start now; those that candidates share come once."""
        found: dict[str, RunSpec] = {}
        for candidate in self._open():
            for spec in self.stage(candidate, records).coming:
                known = found.get(spec.key, spec)
                points = dict.fromkeys((*known.snapshots, *spec.snapshots))
                if spec.round == 0:
                    points |= dict.fromkeys(self._later_points(spec))
                found[spec.key] = known.model_copy(update={"snapshots": tuple(points)})
        return list(found.values())

    def collect(self, records: list[Record]) -> list[Record]:
        """Return the candidates' finished runs."""
        found: dict[str, Record] = {}
        for candidate in self._open():
            found |= {record.key: record for record in collect(candidate.study, records)}
        return list(found.values())

    def goes_first(self, spec: RunSpec) -> bool:
        """Return whether a run looks for masks, which others wait for."""
        return spec.arm == CHAIN

    def ends_together(self) -> bool:
        """Return False: a tuning has no shards."""
        return False

    def check(self, executor: Executor) -> None:
        """Check that candidates fit their data and network; those that don't are dropped, with the reason.

        Raises:
            LotteryError: If the study's own setting doesn't.
        """
        for candidate in self._open():
            try:
                executor.check(candidate.study)
            except (DamagedError, StudyError):
                raise
            except LotteryError as error:
                if not candidate.values:
                    raise
                self.refused[candidate.number, candidate.study.seed] = str(error)

    def begin(self, store: Store) -> None:
        """Do nothing: what was proposed is written down already."""

    def trim(self, store: Store, records: list[Record]) -> None:
        """Do nothing: weights are deleted once a candidate is at its end."""

    def _later_points(self, spec: RunSpec) -> list[str]:
        """Return the rewind points that other candidates may ask a dense run for."""
        points, last = self._tune.ranges.get("rewind.to"), spec.training.steps
        if not isinstance(points, list):
            return []
        alike = [point for point in points if point[-2:] == last[-2:] and point != END]
        return [point for point in alike if int(point[:-2]) <= int(last[:-2])]

    def _open(self) -> list[Candidate]:
        return [each for each in self.candidates if (each.number, each.study.seed) not in self.refused]
