"""The arms of a search: those of a study that need no more than `fit` gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_lottery import steps
from tf_lottery.config import ArmConfig, DataConfig, PruningConfig, RewindConfig, StudyConfig
from tf_lottery.config_file import validate
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import ARMS, CHAINS, function_name, settings_of
from tf_lottery.method.check import check_arms, where
from tf_lottery.pruning.criteria import PROBING
from tf_lottery.runs.check import one_of_each_arm
from tf_lottery.runs.start import check_start
from tf_lottery.runs.starts import REDRAWING

MAIN = "ticket"
"""The arm whose settings are the arguments of `LotterySearch` themselves."""

NEEDS: dict[str, str] = {
    "gradual": "masks that change within a training",
    "set": "masks that change within a training",
    "rigl": "masks that change within a training",
    "small_dense": "a narrower network",
    "final": "a cheaper search for masks",
    "supermask": "scores that are trained in place of weights",
    "transfer": "other data or another optimizer",
}
"""Arm's function -> what it needs that `fit` doesn't give."""


@dataclass(frozen=True)
class Arms:
    """The checked arms of a search.

    Attributes:
        configs: The settings of each arm, by name, `ticket` first.
        rewind_points: Argument -> the rewind point that it gives.
        redrawing: Whether any arm draws weights anew.
        reordered: The arms that are trained in another order of the examples.
    """

    configs: dict[str, ArmConfig]
    rewind_points: dict[str, str]
    redrawing: bool
    reordered: tuple[str, ...]

    @classmethod
    def of(
        cls, arms: Mapping[str, Any] | None, controls: int, pruning: PruningConfig, rewind: RewindConfig
    ) -> "Arms":
        """Check the arms of a search, by the same rules as those of a study.

        Args:
            arms: The argument of that name: arm -> its settings, as in a study's YAML.
            controls: The argument of that name.
            pruning: The search's pruning.
            rewind: The search's rewinding.

        Raises:
            LotteryError: If a study couldn't have these arms, or one of them needs more than `fit` gives.
        """
        study = _study(_together(arms, controls), pruning, rewind)
        _check_needs(study)
        check_arms(study)
        specs = one_of_each_arm(study)
        for spec in specs:
            check_start(spec)
            if spec.updates or spec.small or spec.supermask or spec.until:
                raise LotteryError(f"LotterySearch: arms.{spec.arm} needs more than fit gives. Leave it out.")
        own = {arm: settings_of(study, arm).rewind.to for arm in study.arms if study.arms[arm].rewind}
        return cls(
            configs=study.arms,
            rewind_points={"rewind_to": rewind.to}
            | {f"{where(study, arm, 'rewind')}.to": point for arm, point in own.items()},
            redrawing=any(spec.start in REDRAWING for spec in specs),
            reordered=tuple(
                dict.fromkeys(spec.arm for spec in specs if spec.order_seed != specs[0].order_seed)
            ),
        )


def _together(arms: Mapping[str, Any] | None, controls: int) -> dict[str, Any]:
    """Return the settings of all arms by name, with `ticket` first and the controls after it."""
    given = {} if arms is None else arms
    if not isinstance(given, Mapping):
        raise LotteryError(f"Expected arms as a mapping of name -> settings. Received: {arms!r:.200}")
    if given.get(MAIN):
        raise LotteryError(
            f"Expected arms.{MAIN} without settings, since the search's own arguments are its settings. "
            f"Received: {given[MAIN]!r:.200}"
        )
    together: dict[str, Any] = {MAIN: ArmConfig()}
    if controls:
        if "random_reinit" in given:
            raise LotteryError(
                f"controls={controls} stands for an arm 'random_reinit', and arms has one, too. Give one of "
                "them."
            )
        together["random_reinit"] = ArmConfig(trials=controls)
    return together | {name: settings for name, settings in given.items() if name != MAIN}


def _study(arms: dict[str, Any], pruning: PruningConfig, rewind: RewindConfig) -> StudyConfig:
    """Return a study that has these arms and, in place of the search's data, some without an example."""
    data = DataConfig(name="fit", digest="unknown")
    settings = {"name": "search", "data": data, "pruning": pruning, "rewind": rewind, "arms": arms}
    return validate(settings, "LotterySearch")


def _check_needs(study: StudyConfig) -> None:
    needs = {arm: _needs(study, arm) for arm in study.arms if function_name(study, arm) in (CHAINS | ARMS)}
    if refused := [f"arms.{arm} needs {what}" for arm, what in needs.items() if what]:
        raise LotteryError(
            f"LotterySearch: {', '.join(refused)}, which fit doesn't give. Leave it out, or train it in a "
            "study."
        )


def _needs(study: StudyConfig, arm: str) -> str | None:
    """Return what an arm needs that `fit` doesn't give, None if there is nothing of that kind."""
    own, function, rewind = study.arms[arm], function_name(study, arm), settings_of(study, arm).rewind
    if function in NEEDS:
        return NEEDS[function]
    if 0 in (own.rounds or ()):
        return "the dense network a second time (round 0)"
    if own.training or own.data:
        return "training or data of its own"
    if own.pruning.get("criterion") in PROBING:
        return f"gradients (criterion {own.pruning['criterion']!r})"
    if rewind.steps is not None or rewind.to == steps.END:
        return "a length of training of its own"
    if (rewind.weights, rewind.optimizer) == ("trained", "restore"):
        return "the last state of an optimizer"
    return None
