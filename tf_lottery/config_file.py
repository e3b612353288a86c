"""Reading study configs: by name or path, with `--set` overrides and clear errors."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError

_PACKAGED = Path(__file__).parent / "configs"
_CHECKOUT = Path(__file__).parent.parent / "configs"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, to which 1e-4 is a number, as to everybody else (YAML 1.2), and
    a key that stands twice an error."""

    def construct_mapping(self, node, deep=False):
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} twice", node.start_mark)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def shipped() -> dict[str, Path]:
    """Return the configs that travel with the package: name -> file."""
    folder = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_config(config: str | Path, overrides: Iterable[str] = ()) -> StudyConfig:
    """Read and validate a study config.

    Args:
        config: a shipped name such as `mnist_lenet_demo`, or a YAML file.
        overrides: `a.b=value` each; the value is read as YAML.

    Raises:
        LotteryError: no such config, YAML that doesn't parse, an unknown key (with the
            nearest known one) or a value out of range.

    Example:
        >>> import tf_lottery as lottery
        >>> lottery.load_config("mnist_lenet", ["pruning.rounds=8"]).pruning.rounds
        8
    """
    path = _find(config)
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise LotteryError(f"Expected a readable config. Received: {path} ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LotteryError(f"Expected YAML in {path}. Received: {_one_line(error)}") from error
    if not isinstance(settings, dict):
        raise LotteryError(
            f"Expected a mapping of settings in {path}. Received: {_kind(settings)}. "
            "Start it with lines such as 'pruning: {rounds: 8}'."
        )
    settings.setdefault("name", path.stem)
    for override in overrides:
        _override(settings, override)
    return validate(settings, str(path))


def validate(settings: dict[str, Any], source: str = "the config") -> StudyConfig:
    """Turn a mapping into a `StudyConfig`.

    Raises:
        LotteryError: one line that names the first wrong key, what was expected and
            what was received.
    """
    try:
        return StudyConfig.model_validate(settings)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A misspelt key is also a missing one; its own name says more.
        errors.sort(key=lambda each: each["type"] != "extra_forbidden")
        raise LotteryError(f"{source}: {_explain(errors[0])}") from error


def dump(study: StudyConfig) -> str:
    """Write a study as YAML that `load_config` reads back."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)


def _find(config: str | Path) -> Path:
    known = shipped()
    if str(config) in known:
        return known[str(config)]
    path = Path(config)
    if path.is_file():
        return path
    near = difflib.get_close_matches(str(config), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise LotteryError(f"Expected a YAML file or one of {', '.join(known)}. Received: {str(config)!r}.{hint}")


def _override(settings: dict[str, Any], text: str) -> None:
    keys, equals, value = text.partition("=")
    if not equals or not all(keys.split(".")):
        raise LotteryError(f"Expected --set KEY.KEY=VALUE. Received: {text!r}")
    *parents, last = keys.split(".")
    for key in parents:
        if settings.get(key) is None:
            settings[key] = {}
        settings = settings[key]
        if not isinstance(settings, dict):
            raise LotteryError(f"Expected {key!r} in --set {text} to be a group. Received: {_kind(settings)}")
    try:
        settings[last] = yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LotteryError(
            f"Expected a YAML value in --set. Received: {text!r} ({_one_line(error)})"
        ) from error


def _explain(error: dict[str, Any]) -> str:
    # Without pydantic's names for the members of a union.
    where = [str(part) for part in error["loc"] if part != "bool" and not str(part).startswith("literal[")]
    key = ".".join(where)
    if error["type"] == "extra_forbidden":
        known = list(_model_at(where[:-1]).model_fields)
        near = difflib.get_close_matches(where[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
        return f"unknown key {key!r}: {hint}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"expected a value for {key!r}, which has no default"
    said = "eceived" in message or isinstance(error["input"], dict | BaseModel)
    received = "" if said else f". Received: {error['input']!r:.200}"
    return f"{key + ': ' if key else ''}{message[0].lower() + message[1:]}{received}"


def _model_at(where: list[str]) -> type[BaseModel]:
    model: Any = StudyConfig
    for part in where:
        if part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
        else:
            model = get_args(model)[-1]
    return model


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", type(None): "nothing", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
