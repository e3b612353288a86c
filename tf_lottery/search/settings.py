"""The arguments of `LotterySearch` as settings of a study, which one validator checks and explains."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from tf_lottery import steps
from tf_lottery.config import PruningConfig, RewindConfig, Seed, Strict
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import REWINDS
from tf_lottery.pruning.criteria import CRITERIA, PROBING
from tf_lottery.pruning.patterns import pattern as read_pattern
from tf_lottery.pruning.scopes import SCOPES
from tf_lottery.search.arms import Arms
from tf_lottery.search.monitor import Monitor

DEFAULT_ROUNDS = 10


class SearchPruning(PruningConfig):
    """A study's pruning settings, with the drop in units of what is monitored and at least one round."""

    rounds: int | None = Field(None, ge=1, le=1000)
    max_accuracy_drop: float | None = Field(None, ge=0)

    def of_an_arm(self) -> type[PruningConfig]:
        """Return the class of settings that an arm lays over these."""
        return _ArmPruning


class _ArmPruning(SearchPruning):
    """The pruning of an arm: whether its rates suit its scope depends on the arm's function."""

    @model_validator(mode="after")
    def _consistent(self):
        return self


class _Engine(Strict):
    engine: Literal["fit", "loop", "sparse"]
    controls: int = Field(ge=0, le=1000)


_WHAT = {
    "rate": "rate between 0 and 1, as a fraction",
    "rounds": "rounds, a whole number from 1 to 1,000",
    "max_accuracy_drop": "until from 0, in units of what is monitored",
    "target_density": "target_density between 0 and 1, as a fraction",
    "layer_rates": "layer_rates as rates from 0 up to, not including, 1, by layer name",
    "min_density": "min_density from 0 up to, not including, 1",
    "to": "rewind_to such as '0it', '500it' or '2ep'",
    "optimizer": "rewind_optimizer 'reset' or 'restore'",
    "engine": "engine 'fit', 'loop' or 'sparse'",
    "controls": "controls, a whole number from 0 to 1,000",
}
"""Setting -> what is expected of the argument that it comes from."""


@dataclass(frozen=True)
class SearchSettings:
    """The settings of a search, except its model and data.

    Attributes:
        pruning: Rates and stop rules.
        rewind: The rewind point, and what happens to weights and optimizer there.
        arms: What is trained besides the tickets, and what it takes.
        seed: The search's seed.
        engine: `fit`, `loop` or `sparse`.
        monitor: The quantity that rounds are compared by; None if only the logs of `fit` can tell.
    """

    pruning: SearchPruning
    rewind: RewindConfig
    arms: Arms
    seed: int
    engine: str
    monitor: Monitor | None

    @classmethod
    def of(
        cls,
        rate: Any,
        rounds: Any,
        until: Any,
        target_density: Any,
        rewind_to: Any,
        criterion: Any,
        scope: Any,
        pattern: Any,
        layer_rates: Mapping[str, Any] | None,
        min_density: Any,
        monitor: Any,
        mode: Any,
        controls: Any,
        arms: Mapping[str, Any] | None,
        rewind_weights: Any,
        rewind_optimizer: Any,
        seed: Any,
        engine: Any,
    ) -> "SearchSettings":
        """Check the arguments, which have the names and meanings of those of `LotterySearch`.

        Raises:
            LotteryError: If an argument is out of range.
        """
        criteria = [name for name in CRITERIA if name not in PROBING]
        if not isinstance(criterion, str) or criterion not in criteria:
            probing = isinstance(criterion, str) and criterion in PROBING
            why = ", which needs gradients that fit doesn't give: train it in a study" if probing else ""
            raise LotteryError(f"Expected a criterion of {', '.join(criteria)}. Received: {criterion!r}{why}")
        if not isinstance(scope, str) or scope not in SCOPES:
            raise LotteryError(f"Expected a scope of {', '.join(SCOPES)}. Received: {scope!r}")
        is_fixed = not read_pattern(pattern).is_whole
        if rounds is None and is_fixed:
            rounds = 1
        if rounds is None and until is None and target_density is None:
            rounds = DEFAULT_ROUNDS
        if layer_rates is not None and not isinstance(layer_rates, Mapping):
            raise LotteryError(f"Expected {_WHAT['layer_rates']}. Received: {layer_rates!r}")
        if monitor is None and mode != "auto":
            raise LotteryError(f"Expected mode='auto', since no monitor is named. Received: {mode!r}")
        settings = {
            "criterion": criterion,
            "scope": scope,
            "pattern": pattern,
            "rate": _number(rate),
            "layer_rates": {name: _number(value) for name, value in (layer_rates or {}).items()},
            "rounds": rounds,
            "target_density": _number(target_density),
            "min_density": _number(min_density),
            "max_accuracy_drop": _number(until),
        }
        pruning = _checked(SearchPruning, settings)
        other = _checked(_Engine, {"engine": engine, "controls": controls})
        try:
            TypeAdapter(Seed).validate_python(seed, strict=True)
        except ValidationError as error:
            raise LotteryError(f"Expected seed, a whole number from 0. Received: {seed!r}") from error
        rewind = _rewind(rewind_weights, rewind_to, rewind_optimizer)
        return cls(
            pruning=pruning,
            rewind=rewind,
            arms=Arms.of(arms, other.controls, pruning, rewind),
            seed=seed,
            engine=other.engine,
            monitor=None if monitor is None else Monitor.of(monitor, mode),
        )


def _rewind(weights: Any, to: Any, optimizer: Any) -> RewindConfig:
    if to == steps.END:  # the end of a training with `fit` is where the user has it end
        raise LotteryError(f"Expected {_WHAT['to']}. Received: {to!r}")
    if not isinstance(weights, str) or weights not in REWINDS:
        raise LotteryError(f"Expected rewind_weights of {', '.join(REWINDS)}. Received: {weights!r}")
    rewind = _checked(RewindConfig, {"weights": weights, "to": to, "optimizer": optimizer})
    if (rewind.weights, rewind.optimizer) == ("trained", "restore"):
        raise LotteryError(
            "Expected rewind_optimizer='reset' with rewind_weights='trained', since a search keeps no "
            "optimizer's last state. Received: 'restore'"
        )
    return rewind


def _checked(kind: type[Strict], given: dict[str, Any]) -> Any:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # settings that don't go together
            message = first["msg"].removeprefix("Value error, ")
            raise LotteryError(
                f"{message[0].upper()}{message[1:]}. Received: {given['layer_rates']!r}"
            ) from error
        name = first["loc"][0]
        raise LotteryError(f"Expected {_WHAT[name]}. Received: {given[name]!r}") from error


def _number(value: Any) -> Any:
    """Return a number of any kind as a float; anything else is returned as it is, to be refused later."""
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
