"""`StudyConfig`: everything that a study depends on, typed and validated.

Written as YAML under `configs/` and read by `tf_lottery.config_file`. The sections that describe one
training are in `tf_lottery.config_training`. Every floor above reads these modules, so they import
nothing heavy.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

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
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]  # directories have it in their names
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

    like: str | None = None
    """The arm's function, a line of `tf_lottery.method.arms.CHAINS` or `ARMS`. Default: its own name."""
    on: str = "ticket"
    """Of a control: the arm whose runs it edits."""
    pruning: dict[str, Any] = {}
    """Settings of `pruning` that differ in this chain, such as `{criterion: random}`. `layer_rates` replace
    the study's as a whole."""
    rewind: dict[str, Any] = {}
    """Settings of `rewind` that differ in this chain."""
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
    arms: dict[ArmName, ArmConfig] = {"ticket": ArmConfig(), "random_reinit": ArmConfig()}
    """What is compared: lines of `tf_lottery.method.arms.CHAINS` and `ARMS`, or further arms that are
    `like` one of those. `ticket` comes first; it is left out only if no arm needs it."""
    replicates: int = Field(1, ge=1, le=10_000)
    seed: Seed = 0
    tolerance: float = Field(0.0, ge=0, le=1)
    """How far the validation accuracy of a matching ticket may be below the dense network's."""
    storage: StorageConfig = StorageConfig()

    @field_validator("arms")
    @classmethod
    def _ticket_first(cls, arms):
        needed = not arms or any(arm.on == "ticket" and arm.like != "ticket" for arm in arms.values())
        return {"ticket": ArmConfig(), **arms} if needed else arms

    @model_validator(mode="after")
    def _arms_fit(self):
        for name, arm in self.arms.items():
            if "ticket" in (name, arm.like) and (arm.rounds is not None or arm.trials != 1):
                raise ValueError(f"expected arm {name!r} without rounds and trials: it is every round, once")
            passed = [name]
            while arm.on != "ticket":  # which is on none
                if arm.on not in self.arms or arm.on in passed:
                    raise ValueError(
                        f"expected arms.{passed[-1]}.on as another arm of the study, in no circle, "
                        f"received {arm.on!r}"
                    )
                passed.append(arm.on)
                arm = self.arms[arm.on]
            self.of_arm(name)
        return self

    @model_validator(mode="after")
    def _not_endless(self):
        most = max(self.of_arm(name).pruning.rounds or 1 for name in self.arms)
        of_arms = [
            arm.trials * (most if arm.rounds is None else sum(round <= most for round in set(arm.rounds)))
            for arm in self.arms.values()
        ]
        runs = self.replicates * (1 + sum(of_arms))
        if runs > MOST_RUNS:
            raise ValueError(
                f"expected at most {MOST_RUNS:,} runs (replicates x rounds x trials), received {runs:,}"
            )
        return self

    def of_arm(self, name: str) -> "StudyConfig":
        """Return the study with an arm's own settings laid over it.

        Raises:
            ValueError: If they aren't settings of a study.
        """
        changed = {}
        for part in ("pruning", "rewind"):
            if own := getattr(self.arms[name], part):
                before = getattr(self, part)
                try:
                    changed[part] = type(before).model_validate({**before.model_dump(), **own})
                except ValidationError as error:
                    first = error.errors()[0]
                    where = ".".join(str(each) for each in ("arms", name, part, *first["loc"]))
                    raise ValueError(f"{where}: {first['msg']}") from error
        return self.model_copy(update=changed) if changed else self

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
            "data": {"digest", "path", "load", "pipeline"},
            "pruning": {"rounds", "target_density", "max_accuracy_drop"},
        }
        settings = self.model_dump(mode="json", exclude=free)
        # A list of pairs keeps the order, which counts: the first pattern that matches is used.
        settings["pruning"]["layer_rates"] = list(self.pruning.layer_rates.items())
        settings["data"]["augment"] = list(self.data.augment.items())
        return settings
