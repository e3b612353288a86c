"""Importing the user's own functions, which a study names as `package.module:function`."""

import importlib
import os
import sys
from collections.abc import Callable

from tf_lottery.errors import LotteryError


def import_function(name: str, setting: str) -> Callable:
    """Import a function from an installed package or the current directory.

    Args:
        name: The function's name, written `package.module:function`.
        setting: The setting of the study that names the function, for the error message.

    Raises:
        LotteryError: If the function can't be imported.
    """
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path:  # python -m adds it, the console script doesn't
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)
    except Exception as error:  # importing a user's module may raise anything
        raise LotteryError(
            f"Expected {setting} as an importable 'package.module:function'. "
            f"Received: {name!r} ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
