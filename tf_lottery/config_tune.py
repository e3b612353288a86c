"""`TuningConfig`: a study, and the settings of it that a tuning searches (`tf-lottery tune`)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tf_lottery import config_file, steps
from tf_lottery.config import Seed, StudyConfig
from tf_lottery.config_training import Strict
from tf_lottery.errors import LotteryError

SPARSEST = "sparsest_matching"
ACCURACY = "accuracy_at"

ORACLES = ("random", "grid", "bayesian", "hyperband")

Value = int | float | str | bool


class RangeConfig(Strict):
    """The values from a least to a greatest one: numbers, or steps in one unit such as `1000it`."""

    min: int | float | str
    """The least value."""
    max: int | float | str
    """The greatest value."""
    step: int | float | str | None = None
    """The distance from one value to the next. Default: any value, of steps any whole number."""
    sampling: Literal["linear", "log"] = "linear"
    """`log`: values are equally likely in each power of ten."""

    @property
    def unit(self) -> str:
        """The unit of steps, `it` or `ep`; empty for numbers."""
        return self.min[-2:] if isinstance(self.min, str) else ""

    @property
    def bounds(self) -> tuple[Any, Any, Any]:
        """The least and the greatest number and the distance, without their unit."""
        least, most, distance = (int(each[:-2]) if isinstance(each, str) else each for each in self._given)
        return least, most, distance

    @property
    def _given(self) -> tuple[Any, Any, Any]:
        return self.min, self.max, self.step

    @model_validator(mode="after")
    def _in_order(self):
        given = [each for each in self._given if each is not None]
        texts = [each for each in given if isinstance(each, str)]
        for each in texts:
            steps.validate(each)
        if texts and (len(texts) < len(given) or len({each[-2:] for each in texts}) > 1):
            raise ValueError(f"expected numbers, or steps in one unit, received {self._shown}")
        least, most, step = self.bounds
        if any(isinstance(each, bool) for each in given) or least >= most:
            raise ValueError(f"expected min below max, received {self._shown}")
        if step is not None and not 0 < step <= most - least:
            raise ValueError(f"expected step above 0 that fits between min and max, received {self.step}")
        if self.sampling == "log" and (least <= 0 or step is not None):
            raise ValueError("expected min above 0 and no step with sampling: log")
        return self

    @property
    def _shown(self) -> str:
        return " and ".join(str(each) for each in self._given if each is not None)


class TuneConfig(Strict):
    """What a tuning looks for, where, and on which budget."""

    oracle: Literal["random", "grid", "bayesian", "hyperband"] = "bayesian"
    """What proposes candidates, by keras-tuner: `random`; `grid`, every combination; `bayesian`, a Gaussian
    process; `hyperband` (Li et al. 2018), which trains many candidates a little and the best ones more."""
    objective: str | dict[str, Any] = SPARSEST
    """`sparsest_matching`: the least density at which tickets match, interpolated where accuracy falls below
    the dense network's less the tolerance. `{accuracy_at: 0.036}`: validation accuracy at this density."""
    tolerance: float | None = Field(None, ge=0, le=1)
    """How far the validation accuracy of a matching ticket may be below the dense network's."""
    cost: Literal["steps", "flops", "seconds"] | None = "steps"
    """What finding and training a ticket costs, counted by the ledger: the second objective. None looks at
    the first alone."""
    cost_weight: float = Field(0.5, gt=0, le=10)
    """How much the oracle makes of cost: it minimizes the density (or the share of wrong answers) times
    cost ** cost_weight. The front of both shows all candidates whatever this is."""
    candidates: int = Field(40, ge=1, le=10_000)
    """The most candidates, with the study's own setting, which is the first."""
    budget: str | None = None
    """What all candidates may take together, `2000000it` of training steps or `3600s`. The confirmation is
    included in steps, with one finalist at least. Default: only the number of candidates ends the tuning."""
    at_once: int = Field(4, ge=1, le=1000)
    """How many candidates are proposed before the results of any of them are looked at, and so can be trained
    side by side. It is part of the tuning, so the number of workers changes no result."""
    down_to: float = Field(0.01, gt=0, lt=1)
    """The density at which a candidate's search ends, whatever rounds the study itself has."""
    resource: Literal["steps", "rounds"] = "steps"
    """What `hyperband` gives more of to promising candidates: training steps, or rounds."""
    margin: float = Field(0.2, ge=0, lt=1)
    """How much denser than that of the study's own setting a ticket may be, as a share of it, and still count
    as sparse as that one: tickets lie a round apart, and seeds differ by about as much. (For the objective
    `accuracy_at` it is the tolerance that counts.)"""
    confirm: int = Field(3, ge=0, le=1000)
    """The number of fresh seeds on which the finalists and the study's own setting are tried in the end."""
    finalists: int = Field(3, ge=1, le=100)
    """How many candidates are tried on fresh seeds: of those that are cheaper than the study's own setting
    and as good, from the cheapest to the dearest."""
    seed: Seed = 0
    """The seed of the oracle's draws."""
    ranges: dict[str, Any] = {}
    """Setting -> its values: a list, or a mapping with `min`, `max`, `step` and `sampling`."""

    @field_validator("ranges")
    @classmethod
    def _ranges(cls, ranges):
        if not ranges:
            raise ValueError(
                "expected at least one setting with its values, such as {pruning.rate: {min: 0.1, max: 0.6}}"
            )
        return {name: _range(name, values) for name, values in ranges.items()}

    @field_validator("objective")
    @classmethod
    def _objective(cls, objective):
        if objective == SPARSEST:
            return objective
        if isinstance(objective, dict) and list(objective) == [ACCURACY]:
            density = objective[ACCURACY]
            if isinstance(density, int | float) and not isinstance(density, bool) and 0 < density < 1:
                return objective
        raise ValueError(
            f"expected {SPARSEST}, or {{{ACCURACY}: 0.036}} with a density below 1, received {objective}"
        )

    @field_validator("budget")
    @classmethod
    def _budget(cls, budget):
        is_steps = budget is not None and budget.endswith("it") and budget[:-2].isdecimal()
        if budget is None or (is_steps and int(budget[:-2])) or steps.seconds(budget):
            return budget
        raise ValueError(
            f"expected training steps such as 2000000it, or seconds such as 3600s, received {budget!r}"
        )

    @model_validator(mode="after")
    def _go_together(self):
        if self.objective == SPARSEST and self.tolerance is None:
            raise ValueError(
                f"expected a tolerance with objective {SPARSEST}, such as 0.005: how far a matching "
                "ticket may be below the dense network"
            )
        return self

    @property
    def at_density(self) -> float | None:
        """The density of the objective `accuracy_at`; None for the other one."""
        return self.objective[ACCURACY] if isinstance(self.objective, dict) else None

    @property
    def floor(self) -> float:
        """The density at which a candidate's search ends."""
        return self.at_density or self.down_to

    @property
    def budget_steps(self) -> int | None:
        """The budget in training steps, None if there is none in steps."""
        return int(self.budget[:-2]) if self.budget and self.budget.endswith("it") else None

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds, None if there is none in seconds."""
        return steps.seconds(self.budget) if self.budget else None


def _range(name: str, values: Any) -> list[Value] | RangeConfig:
    if isinstance(values, RangeConfig):
        return values
    if isinstance(values, dict) and not values.keys() & RangeConfig.model_fields.keys():
        nested = f", whose name has all its groups, such as {name}.{min(map(str, values))}" if values else ""
        raise ValueError(f"{name}: expected the values of a setting{nested}: a list, or min and max")
    if isinstance(values, dict):
        try:
            return RangeConfig.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in (name, *first["loc"][:1]))
            raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
    if not isinstance(values, list) or not values:
        raise ValueError(f"{name}: expected a list of values, or min and max, received {values!r:.100}")
    if not all(isinstance(each, Value) for each in values):
        raise ValueError(f"{name}: expected texts or numbers, received {values!r:.100}")
    if (
        len({type(each) for each in values} - {int, float})
        + any(type(each) in (int, float) for each in values)
        > 1
    ):
        raise ValueError(f"{name}: expected values of one kind, received {values!r:.100}")
    if len(set(values)) < len(values):
        raise ValueError(f"{name}: expected each value once, received {values!r:.100}")
    if any(isinstance(each, float) and not math.isfinite(each) for each in values):
        raise ValueError(f"{name}: expected finite numbers, received {values!r:.100}")
    return values


@dataclass(frozen=True)
class Tuning:
    """A study, and how its settings are tuned.

    Attributes:
        study: The study with its own settings.
        tune: The section `tune`.
    """

    study: StudyConfig
    tune: TuneConfig


def load_tuning(config: str | Path, overrides: Iterable[str] = ()) -> Tuning:
    """Read and validate a tuning: a study's config with a section `tune`.

    Unless the config says otherwise, `storage.keep` is `masks`.

    Args:
        config: The name of a shipped tuning such as `tune/mnist_lenet`, or a YAML file.
        overrides: Settings to override, each written `a.b=value`: `tune.candidates=10`.

    Raises:
        LotteryError: If there is no such config, it has no section `tune`, or a setting is wrong.
    """
    settings, source = config_file.read(config, overrides)
    section = settings.pop("tune", None)
    storage = settings.setdefault("storage", {})
    if isinstance(storage, dict):
        storage.setdefault("keep", "masks")  # a tuning has hundreds of runs
    if not isinstance(section, dict):
        raise LotteryError(
            f"Expected a section tune in {source}, such as tune: {{tolerance: 0.005, ranges: {{pruning.rate: "
            "{min: 0.1, max: 0.6}}}. Received: "
            f"{'none' if section is None else type(section).__name__}. `tf-lottery run` takes it without."
        )
    section = {"ranges": {}} | section  # which is refused
    tune = config_file.validate(section, f"{source}, tune", TuneConfig)
    return Tuning(config_file.validate(settings, source), tune)
