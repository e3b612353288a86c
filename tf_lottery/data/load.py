"""Data that a function of the user's own returns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_lottery.data.examples import NAMES, Examples
from tf_lottery.data.own import checked
from tf_lottery.errors import LotteryError
from tf_lottery.importing import import_function


def load(name: str | None) -> Examples:
    """Call the user's function and return the examples that it gives.

    They are checked as those of an npz file are. Arrays that are mapped into memory stay in their files.

    Args:
        name: The function, `package.module:function`, as in `data.load`. It takes no arguments and returns
            `x_train, y_train, x_test, y_test`: a mapping with these names, or a tuple in this order.

    Raises:
        LotteryError: If there is no function, it can't be imported, it fails, or it returns something else.
    """
    if not name:
        raise LotteryError(
            "Expected data.load as 'package.module:function', since data.name is load. Received: nothing"
        )
    function = import_function(name, "data.load")
    try:
        returned = function()
    except Exception as error:  # a user's function may raise anything
        received = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise LotteryError(
            f"Expected arrays from data.load, {name}, called without arguments. Received: {received}"
        ) from error
    given = _by_name(name, returned)
    return checked(
        {each: _array(name, each, value) if each in NAMES else value for each, value in given.items()}, name
    )


def _by_name(name: str, returned: Any) -> Mapping[str, Any]:
    if isinstance(returned, tuple) and len(returned) == len(NAMES):
        return dict(zip(NAMES, returned, strict=True))
    if isinstance(returned, Mapping):
        return returned
    size = f" of {len(returned)}" if isinstance(returned, tuple) else ""
    raise LotteryError(
        f"Expected {', '.join(NAMES)} from data.load, {name}, as a mapping or as a tuple of four arrays. "
        f"Received: {type(returned).__name__}{size}"
    )


def _array(name: str, part: str, value: Any) -> np.ndarray:
    if isinstance(value, np.memmap):
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise LotteryError(
            f"Expected {part} from data.load, {name}, as an array. Received: a masked array, whose mask "
            "would be lost. Use its filled()."
        )
    try:
        return np.asarray(value)
    except Exception as error:  # whatever the user's object raises
        received = f"{type(value).__name__} ({' '.join(str(error).split())[:160]})"
        raise LotteryError(
            f"Expected {part} from data.load, {name}, as an array. Received: {received}"
        ) from error
