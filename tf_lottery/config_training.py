"""What a study says of one training: its data, its model and how it is trained.

The sections of a study that `tf_lottery.config` puts together.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tf_lottery import steps

Steps = Annotated[str, AfterValidator(steps.validate)]
PositiveSteps = Annotated[str, AfterValidator(steps.validate_positive)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Strict(BaseModel):
    """A model that refuses unknown keys, NaN, and changes after validation."""

    # strict: `yes` isn't taken for 1, nor '3' for 3.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class DataConfig(Strict):
    """Which examples a study uses, and how they are split and ordered."""

    name: str = "mnist"
    """A name in `tf_lottery.data.sources.SOURCES`: `mnist`, `fashion_mnist`, `cifar10`, `digits`, `npz`;
    `load`, which is the default where `load` is given."""
    load: str | None = None
    """`package.module:function`. The function is called without arguments and returns the arrays `x_train,
    y_train, x_test, y_test`, as a mapping with these names or as a tuple in this order: the same ones each
    time. In a run's key the digest of their contents stands for the function."""
    path: str | None = None
    """For `npz`: a file with the arrays `x_train, y_train, x_test, y_test`; or a directory with `x_train.npy`
    and so on, where the inputs are read when they are needed and may be larger than the memory."""
    validation: int = Field(5000, ge=1, lt=2**31)
    """The number of training examples held out for validation; they are the same for all replicates."""
    split_seed: Seed = 0
    """The seed that chooses the held-out examples, and the `share` of the others."""
    share: float = Field(1.0, gt=0, le=1)
    """The share of the training examples that is trained on, drawn after the validation examples were held
    out: the same examples for all replicates. Validation and test sets don't depend on it."""
    standardize: bool = False
    """Whether the mean of the training examples is subtracted from all inputs, which are then divided by the
    deviation of the training examples: one mean and one deviation for each channel of images, or for each
    feature of vectors. They are those of all training examples except the held-out ones, whatever the share.
    Images are standardized before they are augmented."""
    order: Literal["replay", "fresh"] = "replay"
    """`replay`: every run of a replicate sees the same order (and augmentation). `fresh`: each
    run has its own."""
    augment: dict[str, dict[str, Any]] = {}
    """The augmentations of training images, applied in this order: names in
    `tf_lottery.data.augment.AUGMENTATIONS` (`flip: {}`, `pad_and_crop: {padding: 4}`) or your own
    `package.module:function`, each with its options."""
    pipeline: Literal["auto", "resident", "stream"] = "auto"
    """`resident`: training inputs lie on the device. `stream`: `tf.data` reads them ahead.
    `auto`: streams inputs that are augmented, mapped files or larger than 4 GiB. The choice changes no bit
    of the results."""
    digest: str | None = None
    """The sha256 of the contents. It is filled in when a study starts; if it is given, it is checked."""

    @model_validator(mode="before")
    @classmethod
    def _name_of_load(cls, settings):
        if isinstance(settings, dict) and settings.get("load") and "name" not in settings:
            return {**settings, "name": "load"}
        return settings

    @model_validator(mode="after")
    def _load_is_alone(self):
        if self.load and self.name != "load":
            raise ValueError(f"expected name: load or none, since load is given, received {self.name!r}")
        if self.load and self.path:
            raise ValueError("expected load or path, not both")
        if self.load and self.load.count(":") != 1:
            raise ValueError(f"expected load as 'package.module:function', received {self.load!r}")
        return self

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
    """Which network is trained: one of tf_lottery's by name, or one that the user's own function builds."""

    name: str | None = None
    """A name in `tf_lottery.models.build.MODELS`. Default: `lenet_300_100`, unless `build` is given."""
    build: str | None = None
    """`package.module:function`. The function is called with `input_shape`, `classes` and `kwargs`, and
    returns a new Keras model each time."""
    kwargs: dict[str, Any] = {}
    """Further arguments of the builder, such as `width`, the factor of all hidden layers."""
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
    """How the learning rate changes with the steps of the network, rewound steps included."""

    name: str = "constant"
    """A name in `tf_lottery.training.learning_rates.SCHEDULES`: `constant`, `step_drops`, `cosine`."""
    warmup: Steps = "0it"
    """The rate rises linearly over these first steps."""
    drops: list[Steps] = []
    """For `step_drops`: the steps at which the rate is multiplied by `factor`."""
    factor: float = Field(0.1, gt=0, lt=1)
    """For `step_drops`: the factor."""
    end: float = Field(0.0, ge=0, lt=1)
    """For `cosine`: the fraction of the rate that is left at the end."""

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
    """How a network is trained, from step 0 to the end."""

    steps: PositiveSteps = "50000it"
    """How long a run trains (the article's k), rewound steps included."""
    batch_size: int = Field(60, ge=1, lt=2**31)
    """The number of examples in a step, over all replicas."""
    evaluate_every: PositiveSteps = "100it"
    """How often the validation loss is measured: the resolution of early stop."""
    optimizer: Annotated[str, AfterValidator(str.lower)] = "adam"
    """The name of a Keras optimizer."""
    learning_rate: float = Field(0.0012, gt=0)
    """The optimizer's learning rate, which the schedule multiplies."""
    learning_rate_schedule: LearningRateConfig = LearningRateConfig()
    """How the learning rate changes with the steps."""
    weight_decay: float = Field(0.0, ge=0)
    """The weight decay of kernels, as it appears in the gradient: `l2` adds `weight_decay * weight`.
    Other weights don't decay."""
    weight_decay_kind: Literal["l2", "decoupled"] = "l2"
    """`l2`: adds weight_decay / 2 * sum of squares to the loss, as in the papers. `decoupled`: the
    optimizer shrinks weights by learning rate * weight_decay (Loshchilov & Hutter 2019)."""
    optimizer_options: dict[str, Any] = {}
    """Further arguments of the optimizer: `momentum`, `nesterov`, `clipnorm`, ..."""
    loss: str = "sparse_categorical_crossentropy"
    """The name of a Keras loss that takes integer labels."""
    from_logits: bool = True
    """Whether the model's outputs are logits, as those of tf_lottery's models are, or probabilities."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "float64"] = "float32"
    """The mixed policies compute matrix products and activations in 16 bits, while weights and scores stay
    float32. `float64` is for checks."""
    strategy: str = "auto"
    """A name in `tf_lottery.training.strategy.STRATEGIES`: `auto`, `one_device`, `mirrored`,
    `multi_worker`, `tpu`."""
    xla: Literal["auto"] | bool = "auto"
    """Whether to compile with XLA. `auto` follows the rule of `tf_lottery.training.compile_rule`."""
    threads: int = Field(1, ge=1, le=1024)
    """The number of processor threads that a run uses. It can change bits of convolutions, so it is part
    of the study, not of the machine."""
    dead_units: Literal["auto", "compute"] = "auto"
    """`auto`: long trainings of a chain of Dense layers skip units that pruning has cut off, where that
    is proven exact (`tf_lottery.training.dead_units`). `compute`: all units are computed."""
    engine: Literal["dense", "sparse", "auto"] = "dense"
    """What computes the training. `dense`: XLA or TensorFlow's graph, which multiply by the zeros, too.
    `sparse`: kernels that touch the weights that remain alone, on one processor core; refused where a layer
    or a setting is lacking. `auto`: sparse for runs with masks where that is expected to be faster, by a rule
    (`tf_lottery.training.sparse.choice`), else dense."""
    deterministic: bool = True
    """Whether TensorFlow's op determinism is on."""
