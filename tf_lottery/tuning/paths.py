"""The files of a tuning: a store that its candidates share, and what was asked and found."""

from dataclasses import dataclass
from pathlib import Path

from tf_lottery.paths import StudyPaths


@dataclass(frozen=True)
class TuningPaths(StudyPaths):
    """The files of a tuning. `runs/` is the store that all candidates share."""

    @property
    def tuning(self) -> Path:
        """What the tuning is, written by tf_lottery."""
        return self.root / "tuning.yaml"

    @property
    def asked(self) -> Path:
        """The candidates that were proposed, by batches."""
        return self.root / "asked.json"

    @property
    def lock(self) -> Path:
        """The lock of the process that proposes candidates."""
        return self.locks / "tuning"

    @property
    def table(self) -> Path:
        """What the candidates came to."""
        return self.root / "candidates.json"

    @property
    def front(self) -> Path:
        """The picture of density or accuracy against cost."""
        return self.root / "front.png"

    @property
    def best(self) -> Path:
        """The best setting, as a config to run."""
        return self.root / "best.yaml"

    @property
    def candidates(self) -> Path:
        return self.root / "candidates"

    def candidate(self, name: str) -> StudyPaths:
        """Return the files of one candidate, which is a study whose runs are links into the store."""
        return StudyPaths(self.candidates / name)

    def is_ours(self, name: str) -> bool:
        """Return whether a tuning that was started here may have left something with this name."""
        own = (self.asked, self.table, self.front, self.best, self.candidates)
        return name in {path.name for path in own} or super().is_ours(name)
