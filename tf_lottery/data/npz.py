"""Reading the user's own data from an npz file or from a directory of npy files.

The file holds `x_train, y_train, x_test, y_test`; the directory holds `x_train.npy` and so on, whose inputs
are mapped into memory and may be larger than it.
"""

from pathlib import Path

from tf_lottery import arrays
from tf_lottery.data.examples import NAMES, Examples
from tf_lottery.data.own import checked
from tf_lottery.errors import LotteryError


def load(path: str | None) -> Examples:
    """Return the examples of an npz file or of a directory of npy files.

    What form they must have stands in `tf_lottery.data.own`.

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
    return checked(_read(Path(path).expanduser()), str(path))


def _read(path: Path) -> arrays.Arrays:
    if not path.is_dir():
        return arrays.load(path)
    return {file.stem: arrays.load_mapped(file) for name in NAMES if (file := path / f"{name}.npy").exists()}
