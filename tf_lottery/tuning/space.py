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
        if _is_counted(values):  # so that no value is missed by rounding
            space.Int(name, 0, int((most - least) / step * (1 + 1e-9)))
        elif all(isinstance(each, int) for each in (least, most, step or 1)):
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


def _is_counted(values: RangeConfig) -> bool:
    """Return whether the values are counted from the least one on, since their distance isn't whole."""
    return values.step is not None and any(isinstance(each, float) for each in values.bounds)


def _alike(value: Any, values: list[Any]) -> Any:
    is_float = any(isinstance(each, float) for each in values)
    return float(value) if is_float and not isinstance(value, bool) else value


def settings_from(ranges: Mapping[str, list[Any] | RangeConfig], drawn: Mapping[str, Any]) -> Values:
    """Return what an oracle has drawn as settings of a study: rounded, and steps with their unit."""
    return {name: _setting(values, drawn[name]) for name, values in ranges.items()}


def _setting(values: list[Any] | RangeConfig, drawn: Any) -> Any:
    if isinstance(values, list):
        return next(each for each in values if each == drawn)  # keras-tuner makes 1 of true
    least, most, step = values.bounds
    if _is_counted(values):
        drawn = float(least + drawn * step)
    if isinstance(drawn, float):
        return float(min(max(float(f"{drawn:.{DIGITS}g}"), least), most))
    return f"{min(drawn, most)}{values.unit}" if values.unit else min(drawn, most)  # it may draw most + 1


def drawn_from(ranges: Mapping[str, list[Any] | RangeConfig], settings: Mapping[str, Any]) -> Values:
    """Return what an oracle would have drawn for settings of a study: the inverse of `settings_from`."""
    return {name: _drawn(values, settings[name]) for name, values in ranges.items()}


def _drawn(values: list[Any] | RangeConfig, setting: Any) -> Any:
    if isinstance(values, list):
        return _alike(setting, values)
    if values.unit:
        return int(setting[:-2])
    least, _, step = values.bounds
    return round((setting - least) / step) if _is_counted(values) else setting


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
    if changed.pretrain and changed.pretrain.file != (study.pretrain and study.pretrain.file):
        changed = changed.model_copy(
            update={"pretrain": changed.pretrain.model_copy(update={"digest": None})}
        )
    return changed


FIXED = {
    "name": "a tuning has one",
    "description": "it changes no result",
    "arms": "candidates have the arms that a tuning needs",
    "replicates": "all candidates have the same",
    "seed": "all candidates have the same seeds, so that they can be compared",
    "tolerance": "the tolerance is tune.tolerance",
    "storage": "it changes no result",
    "data.digest": "it follows from the data",
    "pretrain.digest": "it follows from the file",
    "training.threads": "a process has one only",
    "training.strategy": "a process has one only",
    "training.deterministic": "a process has one only",
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
