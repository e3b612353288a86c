"""`compiled`, which compiles a function once a machine and keeps it on disk.

Numba looks at the file of a function alone, and so doesn't see that a function has changed which it has
inlined. So the directory's name holds a digest of all kernels, and the versions of numba and llvmlite.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import llvmlite
import numba

from tf_lottery.paths import kernel_cache


def _directory() -> Path | None:
    """Return the directory of compiled kernels; None if nothing can be written there."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    directory = kernel_cache() / digest.hexdigest()[:16]
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)  # what lies in it is run
        probe = directory / ".writable"
        probe.touch()
    except OSError:
        return None
    return directory


DIRECTORY = _directory()


@contextlib.contextmanager
def _numba_keeps(directory: Path) -> Iterator[None]:
    """Let numba keep what is decorated in here in a directory."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(directory)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def compiled(function: Callable) -> Callable:
    """Compile a function when it is first called, and keep it on disk where something can be written.

    It allocates nothing: without numba's runtime, inlined functions don't count references to arrays, which
    would cost more than many an output's products.
    """
    if DIRECTORY is None:
        return numba.njit(nogil=True, error_model="numpy", _nrt=False)(function)
    with _numba_keeps(DIRECTORY):
        return numba.njit(nogil=True, error_model="numpy", cache=True, _nrt=False)(function)


def inlined(function: Callable) -> Callable:
    """Compile a function into each function that calls it."""
    return numba.njit(nogil=True, error_model="numpy", inline="always")(function)
