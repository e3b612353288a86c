"""`StudyConfig`: everything that a study depends on, typed and validated.

Written as YAML under `configs/` and read by `tf_lottery.config_file`. The sections that describe one
training are in `tf_lottery.config_training`. Every floor above reads these modules, so they import
nothing heavy.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tf_lottery import steps
from tf_lottery.config_training import (  # noqa: F401 - all sections can be imported from here
    DataConfig,
    LearningRateConfig,
    ModelConfig,
    PositiveSteps,
    Seed,
    Steps,
    Strict,
    TrainingConfig,
)

Interval = Annotated[str, AfterValidator(steps.validate_interval)]
Rate = Annotated[float, Field(gt=0, lt=1)]
LayerRate = Annotated[float, Field(ge=0, lt=1)]
Round = Annotated[int, Field(ge=1, le=1000)]
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

MOST_RUNS = 1_000_000
"""The most runs that a study may have. More than that is a slip, and would take hours to plan."""


class PruningConfig(Strict):
    """How much is pruned each round, and when the rounds end."""

    criterion: str = "magnitude"
    """A name in `tf_lottery.pruning.criteria.CRITERIA`: `magnitude`, `random`."""
    scope: Literal["layer", "global"] = "layer"
    """Where scores compete: within each `layer`, or over all layers (`global`)."""
    rate: Rate = 0.2
    """The fraction of the remaining weights that is pruned each round (the article's p)."""
    layer_rates: dict[str, LayerRate] = {}
    """Rates by layer name pattern (`output: 0.1`, `"conv*": 0.1`). The first pattern that matches
    counts; a rate of 0 leaves a layer unpruned."""
    min_density: float = Field(0.0, ge=0, lt=1)
    """The smallest fraction of each layer's weights that remains: a guard against layers that collapse
    when the scope is global."""
    rounds: int | None = Field(None, ge=0, le=1000)
    """The largest number of prunings. Round 0, the dense network, comes before the first."""
    target_density: float | None = Field(None, gt=0, lt=1)
    """Stop after the first round at or below this density."""
    max_accuracy_drop: float | None = Field(None, ge=0, le=1)
    """Stop after the first round whose validation accuracy at early stop, averaged over
    replicates, is lower than the dense network's by more than this (0.01 is one point)."""

    @model_validator(mode="after")
    def _consistent(self):
        if self.rounds is None and self.target_density is None and self.max_accuracy_drop is None:
            raise ValueError("expected rounds, target_density or max_accuracy_drop: none says when to stop")
        if self.scope == "global" and any(self.layer_rates.values()):
            raise ValueError("expected layer_rates of 0 (leave a layer out) only, since scope is global")
        return self


class RewindConfig(Strict):
    """Where the remaining weights return to before a round's training."""

    to: Steps = "0it"
    """The rewind point: a step of the dense run."""
    optimizer: Literal["reset", "restore"] = "reset"
    """`reset`: start with a fresh optimizer. `restore`: restore its state at the rewind point, masked."""


class ArmConfig(Strict):
    """One line of the papers' plots."""

    rounds: list[Round] | None = None
    """The rounds at which the arm is trained. Default: every round from 1 on."""
    trials: int = Field(1, ge=1, le=1000)
    """How many times each round is trained (the paper reinitializes each ticket three times)."""

    @model_validator(mode="after")
    def _any(self):
        if self.rounds == []:
            raise ValueError("expected at least one round; leave `rounds` out for every round")
        return self


class StorageConfig(Strict):
    """What is written besides the results. These settings change no result and no run's key."""

    checkpoint_every: Interval = "60s"
    """How often a run in progress writes a checkpoint to resume from: `60s` (seconds), `5000it`,
    `2ep` or `never`. It is written after the call of the loop in which it falls due."""
    keep: Literal["masks", "weights", "all"] = "weights"
    """What is kept of a finished run. `masks`: records, masks and curves, and the dense runs' rewind points.
    Last weights are deleted once all arms of the next round are finished; early-stop weights, except the
    winning ticket's, once the study is finished. What an arm that is added later needs is trained again, to
    the same bits. `weights`: also the last and the early-stop weights. `all`: also the optimizer's last
    state."""


class StudyConfig(Strict):
    """One study: data x model x training x pruning x rewind x arms x replicates.

    Example:
        >>> import tf_lottery as lottery
        >>> lottery.StudyConfig(name="mine", pruning={"rate": 0.3, "rounds": 2}).pruning.rate
        0.3
    """

    name: StudyName
    """The study's name, and the name of its directory under `saved_models/`."""
    description: str = ""
    data: DataConfig = DataConfig()
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = TrainingConfig()
    pruning: PruningConfig
    rewind: RewindConfig = RewindConfig()
    arms: dict[str, ArmConfig] = {"ticket": ArmConfig(), "random_reinit": ArmConfig()}
    """The arms, by their names in `tf_lottery.method.arms.ARMS`. The arm `ticket` is always added."""
    replicates: int = Field(1, ge=1, le=10_000)
    seed: Seed = 0
    tolerance: float = Field(0.0, ge=0, le=1)
    """How far the validation accuracy of a matching ticket may be below the dense network's."""
    storage: StorageConfig = StorageConfig()

    @field_validator("arms")
    @classmethod
    def _ticket_first(cls, arms):
        return {"ticket": ArmConfig(), **arms}

    @model_validator(mode="after")
    def _ticket_everywhere(self):
        ticket = self.arms["ticket"]
        if ticket.rounds is not None or ticket.trials != 1:
            raise ValueError("expected arm 'ticket' without rounds and trials: it is every round, once")
        return self

    @model_validator(mode="after")
    def _not_endless(self):
        rounds = 1 if self.pruning.rounds is None else self.pruning.rounds
        controls = [
            arm.trials * (rounds if arm.rounds is None else sum(round <= rounds for round in set(arm.rounds)))
            for name, arm in self.arms.items()
            if name != "ticket"
        ]
        runs = self.replicates * (1 + rounds + sum(controls))
        if runs > MOST_RUNS:
            raise ValueError(
                f"expected at most {MOST_RUNS:,} runs (replicates x rounds x trials), received {runs:,}"
            )
        return self

    def same_runs_as(self, other: "StudyConfig") -> bool:
        """Return whether two studies differ only in which runs they have, not in what a run is."""
        return self.determinants() == other.determinants()

    def determinants(self) -> dict:
        """Return the settings that decide what a run is."""
        free = {
            "name": True,
            "description": True,
            "arms": True,
            "replicates": True,
            "tolerance": True,
            "storage": True,
            "data": {"digest", "path", "pipeline"},
            "pruning": {"rounds", "target_density", "max_accuracy_drop"},
        }
        settings = self.model_dump(mode="json", exclude=free)
        # A list of pairs keeps the order, which counts: the first pattern that matches is used.
        settings["pruning"]["layer_rates"] = list(self.pruning.layer_rates.items())
        settings["data"]["augment"] = list(self.data.augment.items())
        return settings
