"""Reading the user's own data from an npz file or from a directory of npy files.

The file holds `x_train, y_train, x_test, y_test`; the directory holds `x_train.npy` and so on, whose inputs
are mapped into memory and may be larger than it.
"""

from pathlib import Path

import numpy as np

from tf_lottery import arrays
from tf_lottery.data.examples import NAMES, Examples
from tf_lottery.errors import LotteryError


def load(path: str | None) -> Examples:
    """Return the examples of an npz file or of a directory of npy files.

    Labels are integers from 0, one for each example. `uint8` inputs are taken for pixels and
    scaled to [0, 1] later; other inputs are used as they are.

    Args:
        path: The file or the directory, as in `data.path`.

    Raises:
        LotteryError: If there is no path or no such file, it isn't an npz or npy file, or an array is
            missing or has the wrong form.
    """
    if not path:
        raise LotteryError(
            "Expected data.path, an npz file or a directory of npy files, since data.name is npz. "
            "Received: nothing"
        )
    data = _read(Path(path).expanduser())
    missing = [name for name in NAMES if name not in data]
    if missing:
        raise LotteryError(
            f"Expected arrays {', '.join(NAMES)} in {path}. Received: {', '.join(data) or 'none'}; "
            f"missing {', '.join(missing)}"
        )
    for part in ("train", "test"):
        _check(path, part, data[f"x_{part}"], data[f"y_{part}"])
    if data["x_train"].shape[1:] != data["x_test"].shape[1:]:
        raise LotteryError(
            f"Expected x_train and x_test of one shape in {path}. "
            f"Received: {data['x_train'].shape[1:]} and {data['x_test'].shape[1:]}"
        )
    if data["x_train"].dtype != data["x_test"].dtype:
        raise LotteryError(
            f"Expected x_train and x_test of one type in {path}, since uint8 pixels are scaled. "
            f"Received: {data['x_train'].dtype} and {data['x_test'].dtype}"
        )
    labels = {part: np.asarray(data[f"y_{part}"]).reshape(-1).astype(np.int32) for part in ("train", "test")}
    if labels["test"].max() > labels["train"].max() or labels["train"].max() < 1:
        raise LotteryError(
            f"Expected at least two classes, all of them in y_train, in {path}. Received: labels up to "
            f"{labels['train'].max()} in y_train, {labels['test'].max()} in y_test"
        )
    return Examples(data["x_train"], labels["train"], data["x_test"], labels["test"], source=str(path))


def _read(path: Path) -> arrays.Arrays:
    if not path.is_dir():
        return arrays.load(path)
    return {file.stem: arrays.load_mapped(file) for name in NAMES if (file := path / f"{name}.npy").exists()}


def _check(path: str, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim < 2 or not x.size or x.dtype.kind not in "uif" or x.dtype.itemsize > 8:
        raise LotteryError(
            f"Expected x_{part} in {path} as numbers, examples first, at least two dimensions. "
            f"Received: {x.dtype} of shape {x.shape}"
        )
    has_form = y.ndim > 0 and y.dtype.kind in "ui" and len(y) == y.size == len(x)
    if not has_form or y.min() < 0 or y.max() > np.iinfo(np.int32).max:
        values = f", {y.min()} to {y.max()}" if has_form else ""
        raise LotteryError(
            f"Expected y_{part} in {path} as {len(x)} integer labels from 0. "
            f"Received: {y.dtype} of shape {y.shape}{values}"
        )
    with np.errstate(over="ignore"):
        finite = all(np.isfinite(chunk.astype(np.float32)).all() for chunk in arrays.chunks(x))
    if not finite:
        raise LotteryError(f"Expected finite numbers in x_{part} of {path}. Received: NaN or infinity")
