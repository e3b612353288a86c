"""`RunSpec` and `Record`: the contract between the planner, whoever trains, and whoever reads."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, computed_field, model_validator

from tf_lottery.config import DataConfig, ModelConfig, RewindConfig, Steps, Strict, TrainingConfig
from tf_lottery.method.keys import digest
from tf_lottery.method.recipe import EarlyBird, Edit, Pruning, Supermask, Updates, WeightsFile
from tf_lottery.method.spent import FIGURES, Spent
from tf_lottery.paths import ARTEFACT
from tf_lottery.pruning import masks as masks_

RECORD_VERSION = 1
"""Raise this when records lose a field, or a field changes its meaning; they may gain fields."""

MOST = 2**53
"""The largest plausible count of anything; a larger one can only come from damage."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Artefact = Annotated[str, Field(pattern=f"^({ARTEFACT.pattern})$")]

LABELS = ("arm", "replicate", "round", "trial")


class _FromJson(Strict):
    """A model that reads tuples from lists, since JSON has no tuples."""

    model_config = ConfigDict(strict=False)


class RunSpec(_FromJson):
    """One training: everything that determines its result, and its place in the study.

    The labels (arm, replicate, round, trial) aren't part of the key, so two arms that ask for
    the same training share it.

    Examples:
        >>> import tf_lottery as lottery
        >>> study = lottery.load_config("digits_quick", ["data.digest=unknown"])
        >>> spec, *_ = lottery.plan(study, [])
        >>> spec.describe(), spec.start, len(spec.key)
        ('ticket replicate 0 round 0', 'initialize', 64)
    """

    arm: str
    replicate: int
    round: int
    trial: int = 0

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    order_seed: int
    """The seed of the order of training examples."""
    start: str
    """Where the weights come from: a key of `tf_lottery.runs.starts.STARTS`."""
    init_seed: int | None = None
    """The seed that the weights are drawn with."""
    transfer_seed: int | None = None
    """The seed that draws what has another shape in the network for other data."""
    pretrained: str | None = None
    """The key of the run before round 0 whose last weights this dense run starts from."""
    weights: WeightsFile | None = None
    """The file whose weights this dense run starts from."""
    rewind: RewindConfig | None = None
    root: str | None = None
    """The key of this replicate's dense run, which keeps the rewind points."""
    parent: str | None = None
    """The key of the run whose last weights are scored and whose masks are pruned further. Without one, a
    pruning scores the weights at step 0 of the dense run."""
    pruning: Pruning | None = None
    masks_of: str | None = None
    """The key of the run whose masks are taken unchanged. It is set only where no recipe gives those masks
    for this network, so that they exist only after that run's training."""
    edits: tuple[Edit, ...] = ()
    """Changes of these masks, one after another."""
    updates: Updates | None = None
    """How the masks change within the training; None if they don't."""
    until: EarlyBird | None = None
    """What ends the training before its last step; None if nothing does."""
    small: Pruning | None = None
    """The pruning whose number of weights a narrower dense network has, as nearly as possible."""
    supermask: Supermask | None = None
    """The mask that this run trains in place of weights. A `pruning` beside it says how many weights stay."""
    snapshots: tuple[Steps, ...] = ()
    """The rewind points that this run keeps; not part of the key, since keeping them changes no bit."""

    @cached_property
    def key(self) -> str:
        """The sha256 of the canonical form of everything that determines the result.

        Settings at their defaults are left out, so that a new setting changes no old key. The
        data's digest stands for its name, its location and the function that loads it.
        """
        settings = self.model_dump(mode="json", exclude_defaults=True, exclude={*LABELS, "snapshots"})
        if self.model.build:  # it may freeze layers, which earlier versions pruned and redrew
            settings["model"].setdefault("frozen", False)
        if self.training.engine == "auto" and not self.trains_under_masks:  # the dense engine trains it
            del settings["training"]["engine"]
        return digest(settings)

    @property
    def has_masks(self) -> bool:
        """Whether weights of this run are pruned, at first or in the end."""
        return any((self.parent, self.pruning, self.masks_of, self.updates, self.supermask))

    @property
    def trains_under_masks(self) -> bool:
        """Whether this run trains weights under masks; masks that are scored come after the training."""
        return self.has_masks and self.supermask is None

    @property
    def learns_masks(self) -> bool:
        """Whether the run's masks exist only after its training."""
        return self.updates is not None or self.supermask is not None

    @property
    def recipe(self) -> tuple[Any, ...]:
        """What the run's masks follow from; all None or empty for a dense run."""
        parts = (self.parent, self.pruning, self.masks_of, self.edits)
        return (*parts, self.updates, self.small, self.supermask)

    @property
    def from_initial(self) -> bool:
        """Whether the run isn't the dense one, and builds on no training but that of its masks."""
        is_fork = self.round == 0 and not self.is_dense
        return self.parent is None and (self.has_masks or self.small is not None or is_fork)

    @property
    def is_dense(self) -> bool:
        """Whether the run is the dense one of round 0, and no fork of it."""
        return self.round == 0 and self.root is None

    @property
    def begins(self) -> RewindConfig | None:
        """The rewinding that decides at which step the run begins; None if it begins at step 0."""
        return None if self.start == "transfer" else self.rewind

    def model_copy(self, **changes: Any) -> "RunSpec":
        """Copy as pydantic does, but drop the key that was computed before the change."""
        copy = super().model_copy(**changes)
        copy.__dict__.pop("key", None)
        return copy

    def describe(self) -> str:
        """Describe the run's place in the study in words."""
        trial = f" trial {self.trial}" if self.trial else ""
        return f"{self.arm} replicate {self.replicate} round {self.round}{trial}"


class LayerCount(Strict):
    """The numbers of weights that one kernel has and keeps."""

    total: Annotated[int, Field(ge=1, le=MOST)]
    remaining: Count


def counts(masks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a record's counts of weights, total and remaining, for the whole network and by layer."""
    return {
        "weights_total": masks_.size(masks),
        "weights_remaining": masks_.remaining(masks),
        "layers": {
            path: LayerCount(total=mask.size, remaining=int(mask.sum())) for path, mask in masks.items()
        },
    }


class Finished(_FromJson):
    """What the planner and the matching rule read of a finished run, whoever trained it."""

    model_config = ConfigDict(extra="ignore")  # a later version may have added fields

    version: int = RECORD_VERSION
    key: str
    spec: RunSpec

    weights_total: Annotated[int, Field(ge=1, le=MOST)]
    """The number of prunable weights."""
    weights_remaining: Count
    parameters_total: Annotated[int, Field(ge=1, le=MOST)]
    """The number of all trainable parameters."""
    layers: dict[str, LayerCount]

    first_step: Count
    last_step: Count
    seconds: dict[str, float]
    """The time spent, in seconds: `compile`, `train`, `evaluate`, `total`."""
    checks: dict[str, Any]
    """The results of the assertions made during the run."""
    digests: dict[Artefact, Sha256]
    """The digests of the arrays in the run's files."""
    files: dict[Artefact, Sha256] = {}
    """The sha256 of the bytes of each of the run's files."""
    environment: dict[str, str] = Field(default={})
    """The versions of packages, and the processor."""
    spent: Spent | None = None
    """What the training cost; None in records of earlier versions."""
    effective_remaining: Count | None = None
    """The number of weights that remain and lie on a path from an input to an output; None where that isn't
    proven for the network, and in records of earlier versions."""
    effective: dict[str, Count] | None = None
    """The same by layer, with the paths of `layers`."""

    @model_validator(mode="after")
    def _adds_up(self):
        for total, remaining in (
            (self.weights_total, self.weights_remaining),
            (self.weights_remaining, self.effective_remaining or 0),
            *((count.total, count.remaining) for count in self.layers.values()),
        ):
            if remaining > total:
                raise ValueError(f"expected at most {total} weights that remain, received {remaining}")
        return self

    @property
    def monitored(self) -> float:
        """The value that stop rules and the matching rule read; more is better."""
        raise NotImplementedError

    @property
    def shown(self) -> str:
        """The monitored quantity, formatted for people."""
        raise NotImplementedError

    @computed_field
    @property
    def density(self) -> float:
        """The fraction of prunable weights that remain, the paper's P_m."""
        return self.weights_remaining / self.weights_total

    @computed_field
    @property
    def density_all_parameters(self) -> float:
        """The fraction of all trainable parameters that remain, biases and normalization included."""
        pruned = self.weights_total - self.weights_remaining
        return (self.parameters_total - pruned) / self.parameters_total

    @computed_field
    @property
    def effective_density(self) -> float | None:
        """The fraction of prunable weights that remain and lie on a path from an input to an output."""
        return None if self.effective_remaining is None else self.effective_remaining / self.weights_total


class Record(Finished):
    """The results of one finished run. Accuracies are fractions, times are in seconds.

    `early_stop_*` is measured at the step of minimum validation loss, counted from step 0
    of the network, and `final_*` after the last step.

    Examples:
        >>> import tf_lottery as lottery
        >>> small = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=1"]
        >>> dense, ticket, *_ = lottery.run_study("digits_quick", "digits", overrides=small)
        >>> dense.density, round(ticket.density, 3), ticket.layers["hidden2/kernel"].remaining
        (1.0, 0.802, 24000)
    """

    early_stop_iteration: Count
    best_validation_loss: float
    early_stop_validation_accuracy: float
    early_stop_test_loss: float
    early_stop_test_accuracy: float
    final_validation_loss: float
    final_validation_accuracy: float
    final_test_loss: float
    final_test_accuracy: float

    steps_per_second: float
    """The speed of training steps, their data included, without compiling and evaluating."""
    resolved: dict[str, Any]
    """What the rules decided (device, strategy, replicas, xla, threads), and what is needed to
    build the network again: input_shape, classes."""

    @property
    def monitored(self) -> float:
        """The validation accuracy at early stop."""
        return self.early_stop_validation_accuracy

    @property
    def shown(self) -> str:
        """The validation accuracy at early stop, in percent."""
        return f"{self.early_stop_validation_accuracy:.2%}"

    def row(self) -> dict[str, Any]:
        """Return the record as one flat row, which `show --json` prints; None stands for what isn't known."""
        labels = {label: getattr(self.spec, label) for label in LABELS}
        nested = {"key", "version", "spec", "layers", "seconds", "resolved", "checks", "digests", "files"}
        nested |= {"environment", "spent", "effective"}
        spent = {f"spent_{name}": getattr(self.spent, name, None) for name in FIGURES}
        width = {"width": self.resolved["width"]} if "width" in self.resolved else {}
        return labels | self.model_dump(mode="json", exclude=nested) | spent | width | {"key": self.key}
