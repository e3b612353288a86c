"""Importing the user's own code, which a study names: functions as `package.module:function`, and modules."""

import importlib
import os
import sys
from collections.abc import Callable, Iterable

from tf_lottery.errors import LotteryError

_imported: set[str] = set()


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
    except Exception as error:  # importing a user's module may raise anything
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
        except Exception as error:
            raise LotteryError(
                f"Expected {setting} as importable modules, 'package.module'. "
                f"Received: {name!r} ({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error
        _imported.add(name)


def imported() -> set[str]:
    """Return the modules that were imported by `import_modules`: code that no run's key knows of."""
    return set(_imported)


def _look_here() -> None:
    if os.getcwd() not in sys.path:  # python -m adds it, the console script doesn't
        sys.path.insert(0, os.getcwd())
