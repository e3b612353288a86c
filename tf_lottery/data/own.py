"""Checking the user's own arrays, wherever they come from."""

from collections.abc import Mapping

import numpy as np

from tf_lottery import arrays
from tf_lottery.data.examples import NAMES, Examples
from tf_lottery.errors import LotteryError


def checked(data: Mapping[str, np.ndarray], where: str) -> Examples:
    """Return the user's arrays as examples.

    Labels are integers from 0, one for each example. `uint8` inputs are taken for pixels and
    scaled to [0, 1] later; other inputs are used as they are.

    Args:
        data: The arrays `x_train, y_train, x_test, y_test`. Further ones are left out.
        where: Where the arrays come from, for messages and as the examples' source.

    Raises:
        LotteryError: If an array is missing or has the wrong form.
    """
    missing = [name for name in NAMES if name not in data]
    if missing:
        raise LotteryError(
            f"Expected arrays {', '.join(NAMES)} in {where}. "
            f"Received: {', '.join(map(str, data)) or 'none'}; missing {', '.join(missing)}"
        )
    for part in ("train", "test"):
        _check(where, part, data[f"x_{part}"], data[f"y_{part}"])
    if data["x_train"].shape[1:] != data["x_test"].shape[1:]:
        raise LotteryError(
            f"Expected x_train and x_test of one shape in {where}. "
            f"Received: {data['x_train'].shape[1:]} and {data['x_test'].shape[1:]}"
        )
    if data["x_train"].dtype != data["x_test"].dtype:
        raise LotteryError(
            f"Expected x_train and x_test of one type in {where}, since uint8 pixels are scaled. "
            f"Received: {data['x_train'].dtype} and {data['x_test'].dtype}"
        )
    labels = {part: np.asarray(data[f"y_{part}"]).reshape(-1).astype(np.int32) for part in ("train", "test")}
    if labels["test"].max() > labels["train"].max() or labels["train"].max() < 1:
        raise LotteryError(
            f"Expected at least two classes, all of them in y_train, in {where}. Received: labels up to "
            f"{labels['train'].max()} in y_train, {labels['test'].max()} in y_test"
        )
    return Examples(data["x_train"], labels["train"], data["x_test"], labels["test"], source=where)


def _check(where: str, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim < 2 or not x.size or x.dtype.kind not in "uif" or x.dtype.itemsize > 8:
        raise LotteryError(
            f"Expected x_{part} in {where} as numbers, examples first, at least two dimensions. "
            f"Received: {x.dtype} of shape {x.shape}"
        )
    has_form = y.ndim > 0 and y.dtype.kind in "ui" and len(y) == y.size == len(x)
    if not has_form or y.min() < 0 or y.max() > np.iinfo(np.int32).max:
        values = f", {y.min()} to {y.max()}" if has_form else ""
        raise LotteryError(
            f"Expected y_{part} in {where} as {len(x)} integer labels from 0. "
            f"Received: {y.dtype} of shape {y.shape}{values}"
        )
    with np.errstate(over="ignore"):
        finite = all(np.isfinite(chunk.astype(np.float32)).all() for chunk in arrays.chunks(x))
    if not finite:
        raise LotteryError(f"Expected finite numbers in x_{part} of {where}. Received: NaN or infinity")
