"""`StudyConfig`: everything that a study depends on, typed and validated.

Written as YAML under `configs/`; read by `tf_lottery.config_file`. Imports nothing
heavy, because every floor above may read it.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tf_lottery import steps

Steps = Annotated[str, AfterValidator(steps.validate)]
Interval = Annotated[str, AfterValidator(steps.validate_interval)]
PositiveSteps = Annotated[str, AfterValidator(steps.validate_positive)]
Rate = Annotated[float, Field(gt=0, lt=1)]
LayerRate = Annotated[float, Field(ge=0, lt=1)]
Round = Annotated[int, Field(ge=1, le=1000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

MOST_RUNS = 1_000_000
"""Of a study. Far more than anyone trains: what asks for them is a slip, and would take hours to plan."""


class Strict(BaseModel):
    """Unknown keys, NaN and changes after validation are refused."""

    # strict: `yes` isn't 1, nor '3' three.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class DataConfig(Strict):
    """Which examples, and how they are split and ordered."""

    name: str = "mnist"
    """A line of `tf_lottery.data.SOURCES`: `mnist`, `fashion_mnist`, `cifar10`, `digits`, `npz`."""
    path: str | None = None
    """The file of `npz`: arrays `x_train, y_train, x_test, y_test`; or a directory with
    `x_train.npy` and so on, of which `x_train` is read as it is needed and may be larger than the memory."""
    validation: int = Field(5000, ge=1, lt=2**31)
    """Training examples held out for validation; the same for all replicates."""
    split_seed: Seed = 0
    """Chooses the held-out examples."""
    order: Literal["replay", "fresh"] = "replay"
    """`replay`: every run of a replicate sees the same order (and augmentation). `fresh`: each
    run its own."""
    augment: dict[str, dict[str, Any]] = {}
    """Of training images, in this order: lines of `tf_lottery.data.augment.AUGMENTATIONS`
    (`flip: {}`, `pad_and_crop: {padding: 4}`) or your own `package.module:function`, each with
    its options."""
    pipeline: Literal["auto", "resident", "stream"] = "auto"
    """`resident`: training inputs lie on the device. `stream`: `tf.data` reads them ahead.
    `auto`: stream if they are augmented, mapped files or more than 4 GiB. It changes no bit."""
    digest: str | None = None
    """sha256 of the contents. Filled in when a study starts; given, it is checked."""

    @model_validator(mode="after")
    def _path_is_of_npz(self):
        if self.path and self.name != "npz":
            raise ValueError(f"expected name: npz, since a path is given, received {self.name!r}")
        return self

    @model_validator(mode="after")
    def _augmented_images_stream(self):
        if self.augment and self.pipeline == "resident":
            raise ValueError("expected pipeline auto or stream, since images are augmented")
        return self


class ModelConfig(Strict):
    """Which network: one of ours by name, or the user's own builder."""

    name: str | None = None
    """A line of `tf_lottery.models.build.MODELS`. Default: `lenet_300_100`, unless `build` is given."""
    build: str | None = None
    """`package.module:function`, called with `input_shape`, `classes` and `kwargs`; it
    returns a new Keras model each time."""
    kwargs: dict[str, Any] = {}
    frozen: bool = False
    """Whether kernels of layers that the builder froze are pruned, too."""

    @model_validator(mode="before")
    @classmethod
    def _default(cls, settings):
        if isinstance(settings, dict) and not settings.get("name") and not settings.get("build"):
            return {**settings, "name": "lenet_300_100"}
        return settings

    @model_validator(mode="after")
    def _one_of(self):
        if self.name and self.build:
            raise ValueError("expected name or build, not both")
        if self.build and self.build.count(":") != 1:
            raise ValueError(f"expected build as 'package.module:function', received {self.build!r}")
        return self


class LearningRateConfig(Strict):
    """How the learning rate moves with the steps of the network, rewound steps included."""

    name: str = "constant"
    """A line of `tf_lottery.training.learning_rates.SCHEDULES`: `constant`, `step_drops`, `cosine`."""
    warmup: Steps = "0it"
    """The rate rises linearly over these first steps."""
    drops: list[Steps] = []
    """Of `step_drops`: the steps at which the rate is multiplied by `factor`."""
    factor: float = Field(0.1, gt=0, lt=1)
    end: float = Field(0.0, ge=0, lt=1)
    """Of `cosine`: the fraction of the rate that is left at the end."""

    @model_validator(mode="after")
    def _of_its_kind(self):
        if bool(self.drops) != (self.name == "step_drops"):
            raise ValueError("expected drops with name: step_drops, and only there")
        if self.factor != 0.1 and self.name != "step_drops":
            raise ValueError("expected factor with name: step_drops only")
        if self.end and self.name != "cosine":
            raise ValueError("expected end with name: cosine only")
        return self


class TrainingConfig(Strict):
    """One training, from step 0 to its end."""

    steps: PositiveSteps = "50000it"
    """How long a run trains (the article's k), rewound steps included."""
    batch_size: int = Field(60, ge=1, lt=2**31)
    """Examples a step, over all replicas."""
    evaluate_every: PositiveSteps = "100it"
    """How often the validation loss is measured: the resolution of early stop."""
    optimizer: Annotated[str, AfterValidator(str.lower)] = "adam"
    """The name of any Keras optimizer."""
    learning_rate: float = Field(0.0012, gt=0)
    learning_rate_schedule: LearningRateConfig = LearningRateConfig()
    weight_decay: float = Field(0.0, ge=0)
    """Of kernels only. As the gradient sees it: `l2` adds `weight_decay * weight`."""
    weight_decay_kind: Literal["l2", "decoupled"] = "l2"
    """`l2`: weight_decay / 2 * sum of squares in the loss, as in the papers. `decoupled`: the
    optimizer shrinks weights by learning rate * weight_decay (Loshchilov & Hutter 2019)."""
    optimizer_options: dict[str, Any] = {}
    """Further arguments of the optimizer: `momentum`, `nesterov`, `clipnorm`, ..."""
    loss: str = "sparse_categorical_crossentropy"
    """The name of a Keras loss on integer labels."""
    from_logits: bool = True
    """Whether the model's outputs are logits (our models' are) or probabilities."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "float64"] = "float32"
    """Mixed: matrix products and activations in 16 bits; weights and scores stay
    float32. `float64` is for checks."""
    strategy: str = "auto"
    """A line of `tf_lottery.training.strategy.STRATEGIES`: `auto`, `one_device`, `mirrored`,
    `multi_worker`, `tpu`."""
    xla: Literal["auto"] | bool = "auto"
    """`auto`: by the rule of `tf_lottery.training.compile_rule`."""
    threads: int = Field(1, ge=1, le=1024)
    """Processor threads of a run. They can change bits of convolutions, so they are part
    of the study, not of the machine."""
    dead_units: Literal["auto", "compute"] = "auto"
    """`auto`: units that pruning has cut off aren't computed in long trainings of a chain of
    Dense layers, where that is proven exact (`tf_lottery.training.dead_units`)."""
    deterministic: bool = True
    """TensorFlow's op determinism."""


class PruningConfig(Strict):
    """How much goes each round, and when the rounds end."""

    criterion: str = "magnitude"
    """A line of `tf_lottery.pruning.criteria.CRITERIA`: `magnitude`, `random`."""
    scope: Literal["layer", "global"] = "layer"
    """Where scores compete."""
    rate: Rate = 0.2
    """Fraction of the remaining weights pruned each round (the article's p)."""
    layer_rates: dict[str, LayerRate] = {}
    """Rates by layer name pattern (`output: 0.1`, `"conv*": 0.1`); the first that matches
    counts, 0 leaves a layer unpruned."""
    min_density: float = Field(0.0, ge=0, lt=1)
    """Fraction of each layer's weights that stays at least: a guard against layers that collapse
    where scope is global."""
    rounds: int | None = Field(None, ge=0, le=1000)
    """How many prunings at most; round 0, the dense network, comes before the first."""
    target_density: float | None = Field(None, gt=0, lt=1)
    """Stop after the first round at or below this density."""
    max_accuracy_drop: float | None = Field(None, ge=0, le=1)
    """Stop after the first round whose validation accuracy at early stop, on the mean over
    replicates, is lower than the dense network's by more than this (0.01: one point)."""

    @model_validator(mode="after")
    def _consistent(self):
        if self.rounds is None and self.target_density is None and self.max_accuracy_drop is None:
            raise ValueError("expected rounds, target_density or max_accuracy_drop: none says when to stop")
        if self.scope == "global" and any(self.layer_rates.values()):
            raise ValueError("expected layer_rates of 0 (leave a layer out) only, since scope is global")
        return self


class RewindConfig(Strict):
    """Where survivors return to before a round's training."""

    to: Steps = "0it"
    """The rewind point: a step of the dense run."""
    optimizer: Literal["reset", "restore"] = "reset"
    """`reset`: a fresh optimizer. `restore`: its state at the rewind point, masked."""


class ArmConfig(Strict):
    """One line of the paper's plots."""

    like: str | None = None
    """The arm's function, a line of `tf_lottery.method.arms.CHAINS` or `ARMS`. Default: its own name."""
    on: str = "ticket"
    """Of a control: the arm whose runs it edits."""
    pruning: dict[str, Any] = {}
    """Settings of `pruning` that differ in this arm, such as `{criterion: random}`."""
    rewind: dict[str, Any] = {}
    """Settings of `rewind` that differ in this arm."""
    rounds: list[Round] | None = None
    """At which rounds. Default: every round from 1 on."""
    trials: int = Field(1, ge=1, le=1000)
    """How many times each round (the paper reinitializes each ticket three times)."""

    @model_validator(mode="after")
    def _any(self):
        if self.rounds == []:
            raise ValueError("expected at least one round; leave `rounds` out for every round")
        return self


class StorageConfig(Strict):
    """What is written besides the results. It changes no result and no run's key."""

    checkpoint_every: Interval = "60s"
    """How often a run in progress is kept, to go on from there: `60s` (seconds), `5000it`,
    `2ep` or `never`. It is written after the call of the loop in which it falls due."""
    keep: Literal["masks", "weights", "all"] = "weights"
    """Of a finished run: `masks`: records, masks and curves, and the dense runs' rewind points; last
    weights go once all arms of the next round are finished, early-stop weights, the winning ticket's
    aside, once the study is. What an arm that is added later needs is trained again, to the same
    bits. `weights`: also the last and the early-stop weights. `all`: also the optimizer's last state."""


class StudyConfig(Strict):
    """One study: data x model x training x pruning x rewind x arms x replicates.

    Example:
        >>> import tf_lottery as lottery
        >>> lottery.StudyConfig(name="mine", pruning={"rate": 0.3, "rounds": 2}).pruning.rate
        0.3
    """

    name: StudyName
    """Also the name of its directory under `saved_models/`."""
    description: str = ""
    data: DataConfig = DataConfig()
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = TrainingConfig()
    pruning: PruningConfig
    rewind: RewindConfig = RewindConfig()
    arms: dict[str, ArmConfig] = {"ticket": ArmConfig(), "random_reinit": ArmConfig()}
    """What is compared: lines of `tf_lottery.method.arms.CHAINS` and `ARMS`, or further ones that are
    `like` one of those. `ticket` comes first, and is there unless no arm needs it."""
    replicates: int = Field(1, ge=1, le=10_000)
    seed: Seed = 0
    tolerance: float = Field(0.0, ge=0, le=1)
    """How far below the dense network's validation accuracy a matching ticket may be."""
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
        """Whether the two studies differ only in how far they go, not in what a run is."""
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
        # As pairs: the first pattern that matches counts, so their order does too.
        settings["pruning"]["layer_rates"] = list(self.pruning.layer_rates.items())
        settings["data"]["augment"] = list(self.data.augment.items())
        return settings
