"""Reading study configs by name or path, with `--set` overrides and clear errors."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, overload

import yaml
from pydantic import BaseModel, ValidationError

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError

_PACKAGED = Path(__file__).parent / "configs"
_CHECKOUT = Path(__file__).parent.parent / "configs"

TUNINGS = "tune/"
"""The names of shipped tunings begin so."""

Config = TypeVar("Config", bound=BaseModel)

MOST_VALUES = 10_000
"""The most values in a config, where each alias (`*name`) counts as all that it stands for. Studies have
about a hundred."""
DEEPEST = 50
"""How deeply the values may be nested."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with five changes.

    1e-4 is a number, and the key `on` and the value 2:4 are texts, as in YAML 1.2. A key that appears twice
    is an error. So is a text whose values are so many or so deeply nested that reading it could take hours.
    """

    def __init__(self, stream):
        super().__init__(stream)
        self._read = self._level = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # id of a node -> its number of values and its depth

    def compose_node(self, parent, index):
        mark, is_alias = self.peek_event().start_mark, self.check_event(yaml.AliasEvent)
        self._read, self._level = self._read + 1, self._level + 1
        self._check(self._read, self._level, mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        if is_alias and id(node) not in self._sizes:
            raise yaml.composer.ComposerError(
                None, None, "an alias within the value that it stands for", mark
            )
        if not is_alias:
            parts = [] if isinstance(node, yaml.ScalarNode) else node.value
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in parts for part in pair]
            sizes = [self._sizes[id(part)] for part in parts]
            size = 1 + sum(values for values, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)
            self._check(*size, mark)
            self._sizes[id(node)] = size
        return node

    def _check(self, values, depth, mark):
        if values > MOST_VALUES:
            problem = f"more than {MOST_VALUES:,} values, including those of aliases"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        if depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"values nested more than {DEEPEST} deep", mark)

    def construct_mapping(self, node, deep=False):
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            keys = [key.value for key, _ in node.value]
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"key {repeated!r} twice", node.start_mark)
        return mapping


def _refuse(loader: _Loader, node: yaml.Node) -> None:
    # Values of these kinds would change when a study is written to a file or sent to its workers.
    kind = node.tag.rpartition(":")[2]
    problem = f"a {kind}; settings are texts, numbers, lists and mappings (put a text in quotes)"
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int | str:
    return node.value if ":" in node.value else loader.construct_yaml_int(node)  # not 2 * 60 + 4


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
for _kind_of_value in ("timestamp", "binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind_of_value}", _refuse)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def shipped() -> dict[str, Path]:
    """Return the configs that come with the package, as a mapping of name -> file.

    Those in a folder are named with it: `papers/vgg19`.
    """
    return {name: path for name, path in _packaged().items() if not name.startswith(TUNINGS)}


def shipped_tunings() -> dict[str, Path]:
    """Return the tunings that come with the package, as a mapping of name -> file: `tune/mnist_lenet`."""
    return {name: path for name, path in _packaged().items() if name.startswith(TUNINGS)}


def _packaged() -> dict[str, Path]:
    folder = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    paths = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*/*.yaml"))]
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def load_config(config: str | Path, overrides: Iterable[str] = ()) -> StudyConfig:
    """Read and validate a study config.

    Args:
        config: The name of a shipped config such as `mnist_lenet_demo` or `papers/vgg19`, or a YAML file.
        overrides: Settings to override, each written `a.b=value`. The value is read as YAML.

    Raises:
        LotteryError: If there is no such config, its YAML doesn't parse, a key is unknown (the message
            names the nearest known one) or a value is out of range.

    Examples:
        >>> import tf_lottery as lottery
        >>> lottery.load_config("mnist_lenet", ["pruning.rounds=8"]).pruning.rounds
        8
    """
    settings, source = read(config, overrides)
    if "tune" in settings:
        raise LotteryError(
            f"{source} is a tuning, since it has a section tune. Use `tf-lottery tune` for it, or leave that "
            "section out."
        )
    return validate(settings, source)


def read(config: str | Path, overrides: Iterable[str] = ()) -> tuple[dict[str, Any], str]:
    """Read a config as a mapping of settings, with overrides, without validating it.

    Args:
        config: The name of a shipped config, or a YAML file.
        overrides: Settings to override, each written `a.b=value`.

    Returns:
        The settings, and the file that they come from.

    Raises:
        LotteryError: If there is no such config, or its YAML doesn't parse.
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
    return settings, str(path)


@overload
def validate(settings: dict[str, Any], source: str = "the config") -> StudyConfig: ...
@overload
def validate(settings: dict[str, Any], source: str, model: type[Config]) -> Config: ...
def validate(
    settings: dict[str, Any], source: str = "the config", model: type[BaseModel] = StudyConfig
) -> BaseModel:
    """Turn a mapping into a `StudyConfig`.

    Args:
        settings: The settings, as they stand in a YAML file.
        source: Where the settings come from, for the error message.
        model: The class that they are turned into, if it is another one.

    Raises:
        LotteryError: If a setting is wrong. The message names the first wrong key, what was expected and
            what was received.
    """
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A misspelt key also appears as a missing one; the misspelt name says more.
        errors.sort(key=lambda each: each["type"] != "extra_forbidden")
        raise LotteryError(f"{source}: {_explain(dict(errors[0]), model)}") from error


def dump(study: StudyConfig) -> str:
    """Return a study as YAML that `load_config` reads back."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)


def _find(config: str | Path) -> Path:
    known = _packaged()
    if str(config) in known:
        return known[str(config)]
    path = Path(config)
    if path.is_file():
        return path
    names = {name.rpartition("/")[2]: name for name in reversed(known)}
    near = difflib.get_close_matches(str(config).rpartition("/")[2], names, n=1)
    hint = f" Did you mean {names[near[0]]!r}?" if near else ""
    raise LotteryError(f"Expected a YAML file or one of {', '.join(known)}. Received: {str(config)!r}.{hint}")


def _override(settings: dict[str, Any], text: str) -> None:
    keys, equals, value = text.partition("=")
    if not equals or not all(keys.split(".")):
        raise LotteryError(f"Expected --set KEY.KEY=VALUE. Received: {text!r}")
    if keys.count(".") >= DEEPEST:
        raise LotteryError(
            f"Expected --set with keys at most {DEEPEST} deep. Received: {keys.count('.') + 1}"
        )
    try:
        read_value = yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LotteryError(
            f"Expected a YAML value in --set. Received: {text!r:.200} ({_one_line(error)})"
        ) from error
    put(settings, keys, read_value, f"--set {text}")


def put(settings: dict[str, Any], keys: str, value: Any, where: str) -> None:
    """Put a value into a mapping of settings.

    Args:
        settings: The settings, which are changed.
        keys: The keys that lead to the setting, such as `pruning.rate`.
        value: The value.
        where: Where it comes from, for the error message.

    Raises:
        LotteryError: If a key but the last leads to something else than a group of settings.
    """
    *parents, last = keys.split(".")
    for key in parents:
        if settings.get(key) is None:
            settings[key] = {}
        settings = settings[key]
        if not isinstance(settings, dict):
            raise LotteryError(f"Expected {key!r} in {where} to be a group. Received: {_kind(settings)}")
    settings[last] = value


def _explain(error: dict[str, Any], model: type[BaseModel]) -> str:
    # Leave out pydantic's names for the members of a union.
    where = [str(part) for part in error["loc"] if part != "bool" and not str(part).startswith("literal[")]
    key = ".".join(where)
    if error["type"] == "extra_forbidden":
        known = list(_model_at(where[:-1], model).model_fields)
        near = difflib.get_close_matches(where[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
        return f"unknown key {key!r}: {hint}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"expected a value for {key!r}, which has no default"
    is_complete = "eceived" in message or isinstance(error["input"], dict | BaseModel)
    received = "" if is_complete else f". Received: {_shown(error['input'])}"
    return f"{key + ': ' if key else ''}{message[0].lower() + message[1:]}{received}"


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.200}"
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a number of thousands of digits"


def _model_at(where: list[str], model: Any) -> type[BaseModel]:
    for part in where:
        if part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
        else:
            model = get_args(model)[-1]
        if type(None) in get_args(model):  # a section that may be left out
            (model,) = (each for each in get_args(model) if each is not type(None))
    return model


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", type(None): "nothing", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
