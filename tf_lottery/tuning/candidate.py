"""A candidate: the study's settings with some values in place of its own, as one more study."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tf_lottery.config import ArmConfig, StudyConfig
from tf_lottery.config_tune import Tuning
from tf_lottery.length import Length
from tf_lottery.method.arms import function_name, settings_of
from tf_lottery.tuning.space import Values, with_values

CHAIN = "ticket"
"""The arm that looks for masks."""

Examples = Callable[[StudyConfig], int]
"""A function from a study to the number of its training examples."""


@dataclass(frozen=True)
class Candidate:
    """One setting that is tried.

    Attributes:
        number: Its number; 0 is the study's own setting.
        values: Setting -> value. Those of the study's own setting are empty.
        study: The study that is trained.
        arm: The arm whose accuracy counts: `final` where the search is cheaper than the final training.
        floor: The density at which its search ends.
        share: The share of the full resource that it gets (Hyperband).
        fresh: Whether it is a trial on a seed that no candidate has seen.
        refused: Why it can't be trained, since its values don't go together: then its study is the tuning's
            own. Empty for others.
    """

    number: int
    values: Values
    study: StudyConfig
    arm: str
    floor: float
    share: float = 1.0
    fresh: bool = False
    refused: str = ""

    @property
    def name(self) -> str:
        """The name of its directory."""
        return f"{self.number:03}_seed{self.study.seed}" if self.fresh else f"{self.number:03}"

    def describe(self) -> str:
        """Return its settings in words: `pruning.rate 0.35, search.steps 2000it`."""
        if not self.values:
            return "the study's own setting"
        return ", ".join(f"{name} {value}" for name, value in self.values.items())


def make_candidate(
    tuning: Tuning, number: int, values: Mapping[str, Any], share: float = 1.0, seed: int | None = None
) -> Candidate:
    """Return a candidate of a tuning.

    Args:
        tuning: The tuning, its data's digest filled in.
        number: The candidate's number.
        values: Setting -> value.
        share: The share of the full resource that it gets.
        seed: The seed of its only replicate, if it is a trial on a fresh seed. Default: those of the study.

    Raises:
        LotteryError: If the values aren't settings of a study.
    """
    tune = tuning.tune
    study = with_values(tuning.study, values)
    if share < 1 and tune.resource == "steps":
        study = _shortened(study, share)
    floor = tune.floor ** (share if tune.resource == "rounds" else 1.0)
    finals = [
        arm for arm in study.arms if function_name(study, arm) == "final" and study.arms[arm].on == CHAIN
    ]
    arm = (finals or ["final"])[0] if study.search else CHAIN
    arms = {CHAIN: study.arms.get(CHAIN, ArmConfig())}
    if study.search:
        arms[arm] = study.arms[arm].model_copy(update={"rounds": None}) if finals else ArmConfig()
    drop = tune.tolerance if not study.search and tune.at_density is None else None
    ending = {"rounds": None, "target_density": floor, "max_accuracy_drop": drop}
    name = f"{tuning.study.name}_{number:03}"
    changes: dict[str, Any] = {
        "name": name if seed is None else f"{name}_seed{seed}",
        "description": f"A candidate of the tuning of {tuning.study.name}.",
        "arms": arms,
        "pruning": study.pruning.model_copy(update=ending),
        "tolerance": tune.tolerance or 0.0,
    }
    if seed is not None:
        changes |= {"seed": seed, "replicates": 1}
    settings = study.model_copy(update=changes).model_dump(mode="json")
    trained = StudyConfig.model_validate(settings)
    return Candidate(number, dict(values), trained, arm, floor, share, seed is not None)


def _shortened(study: StudyConfig, share: float) -> StudyConfig:
    """Return a study whose trainings, of the search and in full, have a share of their steps."""

    def part(text: str) -> str:
        return f"{max(1, math.ceil(int(text[:-2]) * share))}{text[-2:]}"

    training = study.training.model_copy(update={"steps": part(study.training.steps)})
    changes: dict[str, Any] = {"training": training}
    if study.search and study.search.steps:
        changes["search"] = study.search.model_copy(update={"steps": part(study.search.steps)})
    return study.model_copy(update=changes)


def most_steps(candidate: Candidate, examples: Examples) -> int:
    """Return the training steps that a candidate takes at most, if none of them is shared.

    Its finals are looked for by halving the rounds that are left, so they are few.
    """
    study = candidate.study

    def length(arm: str) -> int:
        settings = settings_of(study, arm)
        of_arm = Length.of(settings.training, examples(settings))
        first, last = of_arm.span(settings.rewind)
        return max(of_arm.last, last - first)

    rounds = math.ceil(math.log(candidate.floor) / math.log(1 - study.pruning.rate)) + 1
    total = (rounds + 1) * length(CHAIN)
    if candidate.arm != CHAIN:
        total += (2 + math.ceil(math.log2(rounds + 1))) * length(candidate.arm)
    if study.pretrain is not None and study.pretrain.file is None:
        before = study.pretraining()
        total += Length.of(before.training, examples(before)).last
    return study.replicates * total
