"""`Place`: where in a study a run stands."""

from dataclasses import dataclass, replace

from tf_lottery.config import PruningConfig, StudyConfig
from tf_lottery.method.spec import RunSpec


@dataclass(frozen=True)
class Place:
    """A run's place in a study, which is all that an arm may look at.

    Attributes:
        study: The study, with the arm's own settings laid over it.
        arm: The arm's name in the study, which may differ from the name of its function.
        replicate: Which replicate, counted from 0.
        round: Which round, counted from 1; round 0 is the dense network, which only forks have besides it.
        trial: Which of the arm's trials, counted from 0.
        dense: The run of round 0.
        before: This arm's run of the previous round; None unless the arm is a chain.
        same: The run of the arm named by `on` at the same round; None for a chain.
        matched: The pruning of the arm named by `on`, whose densities an arm that isn't iterative has; None
            for a chain.
    """

    study: StudyConfig
    arm: str
    replicate: int
    round: int
    trial: int
    dense: RunSpec
    before: RunSpec | None = None
    same: RunSpec | None = None
    matched: PruningConfig | None = None

    @property
    def function(self) -> str:
        """The name of the arm's function."""
        own = self.study.arms.get(self.arm)
        return own.like if own and own.like else self.arm

    @property
    def on(self) -> str:
        """The arm that this one is on."""
        own = self.study.arms.get(self.arm)
        return own.on if own else "ticket"

    def with_study(self, study: StudyConfig) -> "Place":
        """Return the same place in a study with other settings."""
        return replace(self, study=study)
