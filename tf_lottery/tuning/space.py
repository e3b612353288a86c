"""The values that a tuning tries: ranges as keras-tuner's hyperparameters, and as settings of a study."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tf_lottery import config_file
from tf_lottery.config import StudyConfig
from tf_lottery.config_tune import RangeConfig, TuneConfig
from tf_lottery.errors import LotteryError

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

DIGITS = 4
"""The significant digits of numbers that an oracle draws, so that settings can be read and typed."""

Values = dict[str, Any]
"""Setting -> value, such as `{"pruning.rate": 0.35}`."""


def hyperparameters(ranges: Mapping[str, list[Any] | RangeConfig]) -> "HyperParameters":
    """Return ranges as keras-tuner knows them.

    Args:
        ranges: Setting -> its values. Steps such as `1000it` become whole numbers.
    """
    from keras_tuner import HyperParameters

    space = HyperParameters()
    for name, values in ranges.items():
        if isinstance(values, list):
            space.Choice(name, [_alike(each, values) for each in values])
            continue
        least, most, step = values.bounds
        if all(isinstance(each, int) for each in (least, most, step or 1)):
            space.Int(
                name,
                least,
                most,
                step=step or (None if values.sampling == "log" else 1),
                sampling=values.sampling,
            )
        else:
            space.Float(name, float(least), float(most), step=step, sampling=values.sampling)
    return space


def _alike(value: Any, values: list[Any]) -> Any:
    is_float = any(isinstance(each, float) for each in values)
    return float(value) if is_float and not isinstance(value, bool) else value


def settings_from(ranges: Mapping[str, list[Any] | RangeConfig], drawn: Mapping[str, Any]) -> Values:
    """Return what an oracle has drawn as settings of a study: rounded, and steps with their unit."""
    return {name: _setting(values, drawn[name]) for name, values in ranges.items()}


def _setting(values: list[Any] | RangeConfig, drawn: Any) -> Any:
    if isinstance(values, RangeConfig) and values.unit:
        return f"{int(drawn)}{values.unit}"
    if isinstance(values, RangeConfig) and isinstance(drawn, float):
        return float(f"{drawn:.{DIGITS}g}")
    return drawn


def ends(values: list[Any] | RangeConfig) -> list[Any]:
    """Return all values of a list, or the least and the greatest of a range, as settings."""
    return list(values) if isinstance(values, list) else [values.min, values.max]


def with_values(study: StudyConfig, values: Mapping[str, Any], where: str = "tune.ranges") -> StudyConfig:
    """Return a study with other values of some settings.

    Args:
        study: The study.
        values: Setting -> value.
        where: Where the values come from, for the error message.

    Raises:
        LotteryError: If there is no such setting, or a value isn't one of its values.
    """
    settings = study.model_dump(mode="json")
    for name, value in values.items():
        config_file.put(settings, name, value, f"{where}.{name}")
    changed = config_file.validate(settings, where)
    place = ("name", "path", "load")
    if any(getattr(changed.data, each) != getattr(study.data, each) for each in place):
        changed = changed.model_copy(update={"data": changed.data.model_copy(update={"digest": None})})
    return changed


FIXED = {
    "name": "a tuning has one",
    "description": "it changes no result",
    "arms": "candidates have the arms that a tuning needs",
    "replicates": "all candidates have the same",
    "seed": "all candidates have the same seeds, so that they can be compared",
    "tolerance": "the tolerance is tune.tolerance",
    "storage": "it changes no result",
    "pruning.rounds": "candidates prune down to tune.down_to",
    "pruning.target_density": "candidates prune down to tune.down_to",
    "pruning.max_accuracy_drop": "tune.tolerance says when rounds end",
}
"""Settings that can't be tuned, with the reason."""


def check_names(tune: TuneConfig) -> None:
    """Check that all ranges are over settings that can be tuned.

    Raises:
        LotteryError: If one isn't.
    """
    for name in tune.ranges:
        for fixed, why in FIXED.items():
            if name == fixed or name.startswith(f"{fixed}."):
                raise LotteryError(f"tune.ranges.{name}: expected a setting that can be tuned, but {why}")
