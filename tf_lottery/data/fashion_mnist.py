"""Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28 x 28 (Xiao et al. 2017)."""

import gzip
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tf_lottery.data import debian, fetch
from tf_lottery.data.examples import Examples

# The sha256 of the four published IDX files, decompressed.
SHA256 = {
    "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
_DEBIAN = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")


def load() -> Examples:
    """Return Fashion-MNIST from the first source that works: `uint8` pixels of shape (n, 28, 28)."""
    return fetch.fetch(
        "fashion_mnist",
        verify=partial(fetch.verify_idx, expected=SHA256),
        sources={
            f"the Debian package {_DEBIAN}, installed": lambda: _from_directory(INSTALLED),
            "the Keras cache": lambda: _from_directory(fetch.keras_datasets() / "fashion-mnist"),
            "Keras's own download": partial(fetch.keras_download, "fashion_mnist"),
            f"the Debian package {_DEBIAN}, downloaded": _from_debian,
        },
    )


def _from_directory(directory: Path) -> fetch.Fetched:
    def read(file: str) -> bytes:
        try:
            return (directory / file).read_bytes()
        except FileNotFoundError as error:
            raise fetch.SourceFailed(f"no {directory / file}") from error
        except OSError as error:
            raise fetch.SourceFailed(f"{directory / file} can't be read ({error.strerror})") from error

    return _unpack(lambda name: read(_FILES[name]))


def _from_debian() -> fetch.Fetched:
    members = {name: f"{INSTALLED.relative_to('/')}/{file}" for name, file in _FILES.items()}
    return _unpack(debian.package_files(_DEBIAN, members).__getitem__)


def _unpack(content: Callable[[str], bytes]) -> fetch.Fetched:
    arrays = {}
    for name, file in _FILES.items():
        try:
            arrays[name] = fetch.from_idx(gzip.decompress(content(name)))
        except (OSError, EOFError, zlib.error) as error:
            raise fetch.SourceFailed(f"{file} is damaged ({error})") from error
    return arrays
