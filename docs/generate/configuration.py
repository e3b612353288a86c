"""Writes docs/configuration.md: every setting of a study and of a tuning, from the classes that hold them."""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import griffe
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tf_lottery import config, config_pruning, config_training, config_tune, steps
from tf_lottery.data.augment import AUGMENTATIONS
from tf_lottery.data.sources import SOURCES
from tf_lottery.layers.supermasks import SUPERMASKS
from tf_lottery.method.arms import REWINDS
from tf_lottery.models.build import MODELS
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.pruning.patterns import PATTERNS
from tf_lottery.pruning.scopes import SCOPES
from tf_lottery.training.learning_rates import SCHEDULES
from tf_lottery.training.strategy import STRATEGIES

HEAD = """\
# Every setting

<!-- Written by `make docs` from the classes that check a config: change those. -->

A study is a YAML file, and each table below is a section of it; [your own study](studies.md) shows
them at work. A key that is left out has its default. `--set section.key=value` sets one on the command
line. An unknown key, or a value that doesn't fit, is refused in one line before anything is trained.
*Steps* are written `5000it` (training steps) or `2ep` (epochs; an epoch is floor(examples / batch size)
steps).
"""

MOST = 2**31
"""Bounds from here on are left out: they keep numbers within what files can hold."""

LINES: dict[tuple[type[BaseModel], str], Mapping] = {
    (config_training.DataConfig, "name"): SOURCES,
    (config_training.DataConfig, "augment"): AUGMENTATIONS,
    (config_training.ModelConfig, "name"): MODELS,
    (config_training.LearningRateConfig, "name"): SCHEDULES,
    (config_training.TrainingConfig, "strategy"): STRATEGIES,
    (config_pruning.PruningConfig, "criterion"): CRITERIA,
    (config_pruning.PruningConfig, "scope"): SCOPES,
    (config_pruning.PruningConfig, "pattern"): PATTERNS,
    (config_pruning.RewindConfig, "weights"): REWINDS,
    (config_pruning.SupermaskConfig, "kind"): SUPERMASKS,
}
"""The settings that name a line of a dict."""

CHECKED = {
    steps.validate: "steps",
    steps.validate_positive: "steps, at least one",
    steps.validate_point: "steps, or `end`",
    steps.validate_interval: "steps, seconds such as `60s`, or `never`",
}
"""What texts are, by the function that checks them."""

NAMES = {bool: "true or false", str: "text", int: "whole number", float: "number", Any: "anything"}


def meanings() -> dict[str, dict[str, str]]:
    """Return what stands below each setting in the source: class -> setting -> text."""
    package = griffe.load("tf_lottery", submodules=True, search_paths=["."])
    found: dict[str, dict[str, str]] = {}
    for module in ("config", "config_training", "config_pruning", "config_tune"):
        for name, kind in package[module].classes.items():
            if not kind.is_alias:
                found[name] = {
                    key: " ".join(attribute.docstring.value.split())
                    for key, attribute in kind.attributes.items()
                    if attribute.docstring
                }
    return found


def bounds(metadata: list) -> str:
    """Return in words what a number must be."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    told = [
        f"{word} {getattr(each, name):,}"
        for each in metadata
        for name, word in words.items()
        if getattr(each, name, None) is not None and getattr(each, name) < MOST
    ]
    return f" {' and '.join(told)}" if told else ""


def kind(annotation: Any, metadata: list = ()) -> str:
    """Return in words what a setting is."""
    for each in metadata:
        if (check := getattr(each, "func", None)) in CHECKED:
            return CHECKED[check]
    if annotation in NAMES:
        return NAMES[annotation] + bounds(metadata)
    arguments = get_args(annotation)
    match get_origin(annotation):
        case _ if hasattr(annotation, "__metadata__"):
            return kind(arguments[0], [*_flat(annotation.__metadata__), *metadata])
        case origin if origin in (Union, UnionType):
            told = [kind(each, metadata) for each in arguments if each is not type(None)]
            return " or ".join(told).replace("whole number or number", "number")
        case origin if origin is Literal:
            return ", ".join(f"`{each}`" for each in arguments)
        case origin if origin is list:
            return f"list of {kind(arguments[0])}".replace("whole number", "whole numbers")
        case origin if origin is dict:
            return "mapping"
    (heading,) = [each for each, (section, _) in SECTIONS.items() if section is annotation]
    return f"[section](#{heading.lower().replace(' ', '-')})"


def _flat(metadata: tuple) -> Iterator:
    for each in metadata:
        yield from each.metadata if isinstance(each, FieldInfo) else [each]


def default(field: FieldInfo) -> str:
    """Return a setting's default as YAML has it."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "*needed*"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, dict) and any(isinstance(each, BaseModel) for each in value.values()):
        return f"`{{{', '.join(f'{key}: {{}}' for key in value)}}}`"
    shown = {None: "none", True: "`true`", False: "`false`", "": "none"}
    is_plain = isinstance(value, bool | str | None)
    return shown[value] if is_plain and value in shown else f"`{value}`"


def table(section: type[BaseModel], texts: dict[str, str]) -> str:
    """Return a section's settings as a table."""
    rows = ["| key | what it is | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        lines = LINES.get((section, name))
        names = f" Names: {', '.join(f'`{each}`' for each in lines)}." if lines else ""
        told = kind(field.annotation, field.metadata)
        text = re.sub(r"`tf_lottery[\w.]*\.([A-Z_]{3,})`", r"`\1`", texts[name]) + names
        rows.append(f"| `{name}` | {told} | {default(field)} | {text} |".replace("||", "\\|\\|"))
    return "\n".join(rows)


SECTIONS: dict[str, tuple[type[BaseModel], str]] = {
    "Study": (config.StudyConfig, "The file itself."),
    "Data": (config_training.DataConfig, "`data:`"),
    "Model": (config_training.ModelConfig, "`model:`"),
    "Training": (config_training.TrainingConfig, "`training:`"),
    "Learning rate": (config_training.LearningRateConfig, "`training.learning_rate_schedule:`"),
    "Pruning": (config_pruning.PruningConfig, "`pruning:`"),
    "Rewind": (config_pruning.RewindConfig, "`rewind:`"),
    "Arm": (config.ArmConfig, "`arms.<name>:`. [The method](method.md) says what each arm trains."),
    "Updates": (config_pruning.UpdatesConfig, "`updates:`"),
    "Supermask": (config_pruning.SupermaskConfig, "`supermask:`"),
    "Search": (config_pruning.SearchConfig, "`search:`"),
    "Early-Bird": (config_pruning.EarlyBirdConfig, "`search.early_bird:`"),
    "Pretrain": (config_pruning.PretrainConfig, "`pretrain:`"),
    "Storage": (config.StorageConfig, "`storage:`"),
    "Tune": (config_tune.TuneConfig, "`tune:` of a tuning's file, beside `study:`; [k and p](k_and_p.md)."),
    "Range": (config_tune.RangeConfig, "`tune.ranges.<setting>:`, where it isn't a list of values."),
}
"""Heading -> the class, and where it stands in a file."""


def page() -> str:
    """Return the page."""
    texts = meanings()
    parts = [HEAD]
    for heading, (section, place) in SECTIONS.items():
        about = griffe.Docstring(section.__doc__ or "").value.split("\n\n")[0]
        told = f"{place} {' '.join(about.split())}"
        parts.append(f"## {heading}\n\n{told}\n\n{table(section, texts[section.__name__])}\n")
    return "\n".join(parts)
