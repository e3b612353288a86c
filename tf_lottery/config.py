"""`StudyConfig`: everything that a study depends on, typed and validated.

Written as YAML under `configs/` and read by `tf_lottery.config_file`. The sections of one training are in
`tf_lottery.config_training`, those of pruning and rewinding in `tf_lottery.config_pruning`. Every floor above
reads these modules, so they import nothing heavy.
"""

import difflib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from tf_lottery import steps
from tf_lottery.config_pruning import (
    PretrainConfig,
    PruningConfig,
    RewindConfig,
    SearchConfig,
    SupermaskConfig,
    UpdatesConfig,
)
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
Round = Annotated[int, Field(ge=0, le=1000)]
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]  # directories have it in their names
Module = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

MOST_RUNS = 1_000_000
"""The most runs that a study may have. More than that is a slip, and would take hours to plan."""


class ArmConfig(Strict):
    """One line of the papers' plots."""

    like: str | None = None
    """The arm's function, a line of `tf_lottery.method.arms.CHAINS` or `ARMS`. Default: its own name."""
    on: str = "ticket"
    """The arm whose runs a control edits, or whose densities an arm that isn't iterative has."""
    pruning: dict[str, Any] = {}
    """Settings of `pruning` that differ in this arm, such as `{criterion: random}`. `layer_rates` replace
    the study's as a whole."""
    rewind: dict[str, Any] = {}
    """Settings of `rewind` that differ in this arm."""
    updates: dict[str, Any] = {}
    """Settings of `updates` that differ in this arm, such as `{fraction: 0.5}`."""
    training: dict[str, Any] = {}
    """Settings of `training` that differ in this arm, such as `{optimizer: sgd, learning_rate: 0.1}`."""
    data: dict[str, Any] = {}
    """Settings of `data` that differ in this arm, such as `{name: fashion_mnist}`."""
    supermask: dict[str, Any] = {}
    """Settings of `supermask` that differ in this arm, such as `{kind: learned}`."""
    rounds: list[Round] | None = None
    """The rounds at which the arm is trained. Default: every round from 1 on. Only a `fork` has a round 0:
    the dense network in another order of the examples."""
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


OVERLAID = ("pruning", "rewind", "updates", "training", "data", "supermask")
"""The sections of a study that an arm may have settings of its own in."""

_SOURCE = {"name", "path", "load"}
_PROCESS = {"strategy", "threads", "deterministic"}


def _before(settings: Strict, own: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that an arm's own are laid over; those of other data say nothing of the arm's."""
    before = settings.model_dump()
    return (
        {k: v for k, v in before.items() if k not in {*_SOURCE, "digest"}} if _SOURCE & own.keys() else before
    )


def _laid_over(before: Strict, own: dict[str, Any], where: str, kind: type[Strict] | None = None) -> Any:
    """Return a section with some settings in place of others.

    Raises:
        ValueError: If they aren't settings of the section, or can't differ within a study.
    """
    if fixed := _PROCESS & own.keys():
        raise ValueError(f"{where}.{min(fixed)}: expected the study's own, since a process has one only")
    try:
        return (kind or type(before)).model_validate({**_before(before, own), **own})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(each) for each in (where, *first["loc"]))
        if first["type"] == "extra_forbidden":
            known = list((kind or type(before)).model_fields)
            near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
            raise ValueError(f"unknown key {key!r}: {hint}") from error
        message = first["msg"].removeprefix("Value error, ")
        is_complete = "eceived" in message or isinstance(first["input"], dict | Strict)
        received = "" if is_complete else f". Received: {first['input']!r:.200}"
        raise ValueError(f"{key}: {message[0].lower() + message[1:]}{received}") from error


class StudyConfig(Strict):
    """One study: data x model x training x pruning x rewind x arms x replicates.

    Examples:
        >>> import tf_lottery as lottery
        >>> lottery.StudyConfig(name="mine", pruning={"rate": 0.3, "rounds": 2}).pruning.rate
        0.3
    """

    name: StudyName
    """The study's name, and the name of its directory under `saved_models/`."""
    description: str = ""
    """What the study asks, in a few words, for `tf-lottery list` and the report."""
    imports: list[Module] = []
    """Modules of your own, `package.module`, which every process of the study imports: they add criteria,
    arms, claims or stops to tf_lottery's own. Such a study shares no runs with other studies."""
    data: DataConfig = DataConfig()
    """Which examples are trained on, validated and tested."""
    model: ModelConfig = Field(default_factory=ModelConfig)
    """Which network is trained."""
    training: TrainingConfig = TrainingConfig()
    """How it is trained."""
    pruning: PruningConfig
    """What is pruned after each round, and when the rounds end."""
    rewind: RewindConfig = RewindConfig()
    """What the remaining weights return to before each round."""
    updates: UpdatesConfig = UpdatesConfig()
    """How masks change within a training, in the arms `gradual`, `set` and `rigl`. Others don't read it."""
    pretrain: PretrainConfig | None = None
    """Where the dense network's first weights come from. Default: they are drawn."""
    search: SearchConfig | None = None
    """A cheaper search. Default: the rounds that find masks are trained in full, too."""
    supermask: SupermaskConfig = SupermaskConfig()
    """How the arm `supermask` trains masks. Other arms don't read it."""
    arms: dict[ArmName, ArmConfig] = {"ticket": ArmConfig(), "random_reinit": ArmConfig()}
    """What is compared: lines of `tf_lottery.method.arms.CHAINS` and `ARMS`, or further arms that are
    `like` one of those. `ticket` comes first; it is left out only if no arm needs it."""
    replicates: int = Field(1, ge=1, le=10_000)
    """How many times everything is trained, from seeds of its own each time. Intervals need two or more."""
    seed: Seed = 0
    """What the seeds of all replicates follow from: initializations, orders of examples, random masks."""
    tolerance: float = Field(0.0, ge=0, le=1)
    """How far the validation accuracy of a matching ticket may be below the dense network's."""
    storage: StorageConfig = StorageConfig()
    """What is written besides the results."""

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
            if 0 in (arm.rounds or ()) and "fork" not in (name, arm.like):
                raise ValueError(f"expected rounds of arm {name!r} from 1 on: only a fork has a round 0")
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
        if self.pretrain is not None:
            self.pretraining()
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

    def of_arm(self, name: str, over: "StudyConfig | None" = None) -> "StudyConfig":
        """Return the study with an arm's own settings laid over it.

        Args:
            name: The arm.
            over: The settings that they are laid over. Default: the study's.

        Raises:
            ValueError: If they aren't settings of a study.
        """
        over, changed = over or self, {}
        for part in OVERLAID:
            if own := getattr(self.arms[name], part):
                kind = self.pruning.of_an_arm() if part == "pruning" else None
                changed[part] = _laid_over(getattr(over, part), own, f"arms.{name}.{part}", kind)
        return over.model_copy(update=changed) if changed else over

    def pretraining(self) -> "StudyConfig":
        """Return the study as the run before round 0 is trained.

        Raises:
            ValueError: If the settings of `pretrain` aren't settings of a study.
        """
        own = self.pretrain or PretrainConfig()
        steps = {"steps": own.steps} if own.steps else {}
        changed = {
            "training": _laid_over(self.training, {**own.training, **steps}, "pretrain.training"),
            "data": _laid_over(self.data, own.data, "pretrain.data"),
        }
        return self.model_copy(update=changed)

    def with_digests(self, digest: Callable[[DataConfig], str]) -> "StudyConfig":
        """Return the study with the digests of all its data filled in.

        Args:
            digest: A function from the settings of some data to its digest.
        """
        study = self.model_copy(update={"data": self.data.model_copy(update={"digest": digest(self.data)})})
        changed: dict[str, Any] = {
            "arms": {
                name: arm.model_copy(update={"data": {**arm.data, "digest": digest(study.of_arm(name).data)}})
                if arm.data
                else arm
                for name, arm in self.arms.items()
            }
        }
        if self.pretrain is not None and self.pretrain.data:
            data = {**self.pretrain.data, "digest": digest(study.pretraining().data)}
            changed["pretrain"] = self.pretrain.model_copy(update={"data": data})
        return study.model_copy(update=changed)

    def same_runs_as(self, other: "StudyConfig") -> bool:
        """Return whether two studies differ only in which runs they have, not in what a run is."""
        return self.determinants() == other.determinants()

    def determinants(self) -> dict:
        """Return the settings that decide what a run is."""
        free: Any = {
            "name": True,
            "description": True,
            "imports": True,
            "arms": True,
            "replicates": True,
            "tolerance": True,
            "storage": True,
            "data": {"digest", "path", "load", "pipeline"},
            "pruning": {"rounds", "target_density", "max_accuracy_drop"},
            "pretrain": {"digest": True, "file": True, "data": {"digest", "path", "load", "pipeline"}},
        }
        settings = self.model_dump(mode="json", exclude=free)
        # A list of pairs keeps the order, which counts: the first pattern that matches is used.
        settings["pruning"]["layer_rates"] = list(self.pruning.layer_rates.items())
        settings["data"]["augment"] = list(self.data.augment.items())
        return settings
