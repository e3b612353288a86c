"""What a study says of pruning and rewinding: its sections that `tf_lottery.config` puts together."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from tf_lottery import steps
from tf_lottery.config_training import PositiveSteps, Strict

RewindPoint = Annotated[str, AfterValidator(steps.validate_point)]
Rate = Annotated[float, Field(gt=0, lt=1)]
LayerRate = Annotated[float, Field(ge=0, lt=1)]


class PruningConfig(Strict):
    """How much is pruned each round, and when the rounds end."""

    criterion: str = "magnitude"
    """A name in `tf_lottery.pruning.criteria.CRITERIA`: `magnitude`, `random`, `snip`, ..."""
    scope: str = "layer"
    """A name in `tf_lottery.pruning.scopes.SCOPES`: scores compete within each `layer`, over all layers
    (`global`), or within each layer with the weights distributed by `erk` or `smart_ratio`."""
    pattern: str = "single"
    """What is pruned together, of `tf_lottery.pruning.patterns.PATTERNS`: `single` weights, whole `units`
    (of Dense layers and convolutions), blocks such as `block:4x4` (inputs x outputs), or `N:M` such as `2:4`:
    the N highest of each M consecutive inputs stay. Of units and blocks `rate` prunes a fraction of their
    number; N:M takes one round at the rate 1 - N/M."""
    rate: Rate = 0.2
    """The fraction of the remaining weights that is pruned each round (the article's p)."""
    layer_rates: dict[str, LayerRate] = {}
    """Rates by layer name pattern (`output: 0.1`, `"conv*": 0.1`). The first pattern that matches
    counts; a rate of 0 leaves a layer unpruned."""
    min_density: float = Field(0.0, ge=0, lt=1)
    """The smallest fraction of each layer's weights that remains: a guard against layers that collapse
    when the scope is global."""
    examples: int = Field(1000, ge=1, lt=2**31)
    """How many training examples `snip` and `grasp` compute their scores on; other criteria use none."""
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
        if self.scope == "global":  # which others there are is known elsewhere
            self.check_rates()
        return self

    def of_an_arm(self) -> "type[PruningConfig]":
        """Return the class of settings that an arm lays over these."""
        return ArmPruning

    def check_rates(self) -> None:
        """Check that the rates suit the scope.

        Raises:
            ValueError: If layers have rates of their own, though weights are counted over all layers
                together.
        """
        if self.scope != "layer" and any(self.layer_rates.values()):
            raise ValueError(
                f"expected layer_rates of 0 (leave a layer out) only, since scope is {self.scope}"
            )


class ArmPruning(PruningConfig):
    """The pruning of an arm: whether its rates suit its scope depends on the arm's function."""

    @model_validator(mode="after")
    def _consistent(self):
        return self


class UpdatesConfig(Strict):
    """How masks change within a training, in the arms `gradual`, `set` and `rigl`."""

    every: PositiveSteps = "100it"
    """The steps between two updates."""
    begin: float = Field(0.0, ge=0, lt=1)
    """The share of the training after which `gradual` begins to prune; the others begin with their masks."""
    end: float = Field(0.75, gt=0, le=1)
    """The share of the training after which masks don't change any more (Evci et al. 2020: 0.75). Early stop
    is looked for from the last change on."""
    fraction: float = Field(0.3, gt=0, lt=1)
    """The share of a layer's weights that the first update of `set` and `rigl` drops; it falls by a cosine to
    0 at the end."""

    @model_validator(mode="after")
    def _in_order(self):
        if self.begin >= self.end:
            raise ValueError(f"expected begin before end, received {self.begin:g} and {self.end:g}")
        return self


class RewindConfig(Strict):
    """What the remaining weights return to before a round's training (Renda et al. 2020)."""

    weights: str = "rewound"
    """A name in `tf_lottery.method.arms.REWINDS`. `rewound`: the weights that the dense run had at the rewind
    point. `trained`: the last weights of the run that is pruned, while the learning rates are replayed from
    the rewind point on (learning-rate rewinding with `to: 0it`, fine-tuning with `to: end`)."""
    to: RewindPoint = "0it"
    """The rewind point: a step of the dense run, or `end` for its last step."""
    optimizer: Literal["reset", "restore"] = "reset"
    """`reset`: start with a fresh optimizer. `restore`: restore the state that it had together with the
    weights, masked; with trained weights this needs `storage.keep: all`."""
    steps: PositiveSteps | None = None
    """How long a round trains from the rewind point on. Default: to the end of `training.steps`."""

    @model_validator(mode="after")
    def _has_an_end(self):
        if self.to == steps.END and self.weights == "rewound":
            raise ValueError("expected weights: trained, since the rewind point is the end of training")
        if self.to == steps.END and self.steps is None:
            raise ValueError("expected steps, such as 20ep, since the rewind point is the end of training")
        return self


class EarlyBirdConfig(Strict):
    """When a round of the search ends early: its next pruning has settled (You et al. 2020)."""

    distance: float = Field(0.1, gt=0, lt=1)
    """How far apart the masks that the next pruning would give at two successive looks may be: the share of
    the weights that remain for which one of them decides otherwise than the other."""
    masks: int = Field(5, ge=1, le=1000)
    """How many times in a row they must be that near."""
    every: PositiveSteps = "1ep"
    """The steps from one look to the next."""


class SupermaskConfig(Strict):
    """How the arm `supermask` trains masks, by scores, while all weights stay as they are at step 0."""

    kind: str = "edge_popup"
    """A name in `tf_lottery.layers.supermasks.SUPERMASKS`. `edge_popup`: the highest scores stay, as many as
    the arm's round leaves (Ramanujan et al. 2020). `learned`: each step draws a mask whose probabilities are
    learned, and so is the density (Zhou et al. 2019). `signed`: weights are kept, pruned or inverted by a
    threshold of the scores, so the density is learned, too (Koster et al. 2022)."""
    constant: bool = False
    """Whether kernels have one size a layer, their standard deviation at step 0, with the signs of step 0
    (Zhou's signed constant). Kernels of the kind `signed` always have."""
    rescale: bool = False
    """Whether a layer's weights that are used are scaled by the number of all its weights over that of those
    (Zhou's dynamic weight rescaling)."""
    threshold: float = Field(0.01, ge=0)
    """For `signed`: the size of a score above which a weight is used."""

    @model_validator(mode="after")
    def _of_its_kind(self):
        if self.threshold != 0.01 and self.kind != "signed":
            raise ValueError("expected threshold with kind: signed only")
        if self.constant and self.kind == "signed":
            raise ValueError("expected no constant with kind: signed, whose kernels always have one size")
        return self


class SearchConfig(Strict):
    """A cheaper search: how the rounds that find masks are trained. The arm `final` trains what they find."""

    steps: PositiveSteps | None = None
    """How long these rounds train (the article's k). Default: `training.steps`."""
    data: float | None = Field(None, gt=0, le=1)
    """The share of the training examples that they train on. Default: `data.share`."""
    early_bird: EarlyBirdConfig | None = None
    """What ends these rounds before their last step, `{}` for You et al.'s rule. Default: nothing does."""

    @model_validator(mode="after")
    def _any(self):
        if self.steps is None and self.data is None and self.early_bird is None:
            raise ValueError(
                "expected steps, data or early_bird; leave `search` out to train all rounds in full"
            )
        return self


class PretrainConfig(Strict):
    """Weights that the dense network starts from in place of a random initialization (Chen et al. 2020).

    They come from a run before round 0, or from a file. `0it` is then the network with these weights.
    """

    steps: PositiveSteps | None = None
    """How long the run before round 0 trains. Default: `training.steps`."""
    training: dict[str, Any] = {}
    """Settings of `training` that differ in the run before round 0."""
    data: dict[str, Any] = {}
    """Settings of `data` that differ in the run before round 0, such as `{name: fashion_mnist}`."""
    file: str | None = None
    """A Keras model (`.keras`), a ticket, or arrays by the names of variables (`.npz`)."""
    digest: str | None = None
    """The sha256 of the file. It is filled in when a study starts; if it is given, it is checked."""

    @model_validator(mode="after")
    def _run_or_file(self):
        if self.file and (self.steps or self.training or self.data):
            raise ValueError("expected file, or steps, training and data of a run, not both")
        if self.digest and not self.file:
            raise ValueError("expected digest with a file only")
        return self
