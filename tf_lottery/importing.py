"""The user's own functions, named in a study as `package.module:function`."""

import importlib
import os
import sys
from collections.abc import Callable

from tf_lottery.errors import LotteryError


def import_function(name: str, setting: str) -> Callable:
    """Import a function from an installed package or the current directory.

    Args:
        name: `package.module:function`.
        setting: where the study names it, for the error.

    Raises:
        LotteryError: if it can't be imported.
    """
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path:  # the console script doesn't put it there; python -m does
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise LotteryError(
            f"Expected {setting} as an importable 'package.module:function'. "
            f"Received: {name!r} ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
