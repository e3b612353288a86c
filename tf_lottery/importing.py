"""Importing the user's own code, which a study names: functions as `package.module:function`, and modules."""

import importlib
import os
import sys
from collections.abc import Callable, Iterable

from tf_lottery.errors import LotteryError

_imported: dict[str, None] = {}  # in the order of their imports

_LINES = (
    "data.augment:AUGMENTATIONS",
    "method.arms:ARMS",
    "method.arms:CHAINS",
    "models.build:MODELS",
    "pruning.criteria:CRITERIA",
    "pruning.edits:EDITS",
    "pruning.patterns:PATTERNS",
    "pruning.scopes:SCOPES",
    "pruning.updates:UPDATES",
    "runs.starts:STARTS",
    "training.learning_rates:SCHEDULES",
)
"""Lists of what decides a run's result by a name that stands in its key."""


def import_function(name: str, setting: str) -> Callable:
    """Import a function from an installed package or the current directory.

    Args:
        name: The function's name, written `package.module:function`.
        setting: The setting of the study that names the function, for the error message.

    Raises:
        LotteryError: If the function can't be imported.
    """
    module, _, function = name.partition(":")
    _look_here()
    try:
        return getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # a user's module may raise anything, or be a script that exits
        raise LotteryError(
            f"Expected {setting} as an importable 'package.module:function'. "
            f"Received: {name!r} ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error


def import_modules(names: Iterable[str], setting: str = "imports") -> None:
    """Import modules from installed packages or the current directory, which add to tf_lottery.

    Args:
        names: The modules' names, written `package.module`.
        setting: What names them, for the error message.

    Raises:
        LotteryError: If one of them can't be imported.
    """
    for name in names:
        _look_here()
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise LotteryError(
                f"Expected {setting} as importable modules, 'package.module'. "
                f"Received: {name!r} ({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error
        _imported[name] = None


def imported() -> list[str]:
    """Return the modules that were imported by `import_modules`, in their order."""
    return [*_imported]


def own_code() -> list[str]:
    """Return the modules whose code may decide this process's results, and of which no run's key knows.

    These are the ones that were imported, and those that have added a line to what decides results.
    """
    loaded = (each.partition(":") for each in _LINES if f"tf_lottery.{each.partition(':')[0]}" in sys.modules)
    lists = (getattr(sys.modules[f"tf_lottery.{module}"], name) for module, _, name in loaded)
    modules = (str(getattr(line, "__module__", line)) for lines in lists for line in lines.values())
    return [*dict.fromkeys([*_imported, *(each for each in modules if not each.startswith("tf_lottery."))])]


def _look_here() -> None:
    if os.getcwd() not in sys.path:  # python -m adds it, the console script doesn't
        sys.path.insert(0, os.getcwd())
