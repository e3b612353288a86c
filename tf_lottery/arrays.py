"""Named NumPy arrays in one npz file, written atomically, without pickles, and with a digest."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tf_lottery import atomic
from tf_lottery.errors import LotteryError

Arrays = dict[str, np.ndarray]
CHUNK_BYTES = 16 * 2**20
LARGE_BYTES, MOST_PACKED = 2**30, 200
"""An archive is refused if its contents exceed both one GiB and 200 times the size of the file."""
_SEAL = "digest"


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 over names, types, shapes and bytes, independent of the order of the names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        for part in chunks(array):
            total.update(np.ascontiguousarray(part).data)
    return total.hexdigest()


def chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array in parts along its first axis, so that one larger than the memory can be read."""
    rows = max(1, CHUNK_BYTES * len(array) // max(array.nbytes, 1)) if array.ndim else 0
    yield from (array[first : first + rows] for first in range(0, len(array), rows)) if rows else [array]


def save(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> str:
    """Write arrays atomically and return their digest.

    Args:
        path: The npz file to create or replace.
        arrays: A mapping of name -> array. Names may contain `/`.
        compress: Whether to compress the file, which pays for masks and sparse weights.

    Raises:
        LotteryError: If an array holds Python objects, or the file can't be written.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise LotteryError(f"Expected an array of numbers for {name}. Received: Python objects")
    writer = np.savez_compressed if compress else np.savez
    atomic.write(path, lambda file: writer(file, **arrays))
    return digest(arrays)


def load(path: Path, expected_digest: str | None = None, expected_file: str | None = None) -> Arrays:
    """Read all arrays of an npz file, and check digests if they are given.

    The container is checked before any of its contents is read, so NumPy never parses a damaged header.

    Args:
        path: The npz file.
        expected_digest: The digest of its arrays, as `digest` computes it.
        expected_file: The sha256 of its bytes.

    Raises:
        LotteryError: If the file is missing, isn't an npz file, is truncated, holds pickles, unpacks to
            far more than its size, or was changed since it was written.
    """
    try:
        content = path.read_bytes()
        if expected_file is not None and hashlib.sha256(content).hexdigest() != expected_file:
            raise LotteryError(_changed(path))
        arrays = _read(content)
    except FileNotFoundError as error:
        raise LotteryError(f"Expected an npz file. Received: {path}, which doesn't exist.") from error
    except LotteryError:
        raise
    except Exception as error:  # Python's parsers raise errors of many kinds on junk
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise LotteryError(f"Expected an npz file of plain arrays. Received: {path} ({reason}).") from error
    if expected_digest is not None and digest(arrays) != expected_digest:
        raise LotteryError(_changed(path))
    return arrays


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(content: bytes) -> Arrays:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("not an archive, or a truncated one")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > max(LARGE_BYTES, MOST_PACKED * len(content)):
            raise ValueError(f"{len(content):,} bytes that would unpack to {size:,}")
        arrays = {}
        for member in members:
            if not member.filename.endswith(".npy"):
                raise ValueError(f"it contains {member.filename!r:.60}")
            with archive.open(member) as file:  # zipfile checks a member's checksum when it reaches the end
                part = file.read()
            arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(
                io.BytesIO(part), allow_pickle=False, max_header_size=10_000
            )
    return arrays


def load_mapped(path: Path) -> np.ndarray:
    """Return the array of an npy file, mapped into memory, so that only the parts that are used are read.

    Raises:
        LotteryError: If the file is missing, isn't an npy file, is truncated or holds pickles.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an npz archive")
    except FileNotFoundError as error:
        raise LotteryError(f"Expected an npy file. Received: {path}, which doesn't exist.") from error
    except Exception as error:  # Python's parsers raise errors of many kinds on junk
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LotteryError(f"Expected an npy file of a plain array. Received: {path} ({reason}).") from error
    return array


def save_sealed(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays together with their digest, which `load_sealed` checks, and return the digest."""
    value = digest(arrays)
    save(path, {**arrays, _SEAL: np.array(value)})
    return value


def load_sealed(path: Path, expected_digest: str | None = None, expected_file: str | None = None) -> Arrays:
    """Read arrays that `save_sealed` wrote. The arguments are those of `load`.

    Raises:
        LotteryError: For the same reasons as `load`, and if the arrays don't match the digest in the file.
    """
    arrays = load(path, expected_file=expected_file)
    seal = arrays.pop(_SEAL, None)
    if seal is None or digest(arrays) != str(seal) or str(seal) != (expected_digest or str(seal)):
        raise LotteryError(_changed(path))
    return arrays


def _changed(path: Path) -> str:
    return f"{path} fails its checksum: its contents differ from what was written."
