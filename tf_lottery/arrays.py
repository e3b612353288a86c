"""Named NumPy arrays as one npz file: no pickles, written atomically, with a digest."""

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
"""An archive of more than a GiB once it is unpacked, and 200 times its size, isn't taken."""
_SEAL = "digest"


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 over names, types, shapes and bytes, whatever the order of names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        for part in chunks(array):
            total.update(np.ascontiguousarray(part).data)
    return total.hexdigest()


def chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array in stretches of its first axis, so that one larger than the memory can be read."""
    rows = max(1, CHUNK_BYTES * len(array) // max(array.nbytes, 1)) if array.ndim else 0
    yield from (array[first : first + rows] for first in range(0, len(array), rows)) if rows else [array]


def save(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> str:
    """Write arrays atomically and return their digest.

    Args:
        path: the npz file to create or replace.
        arrays: name -> array; names may contain `/`.
        compress: worth it for masks and sparse weights.

    Raises:
        LotteryError: if the file can't be written.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise LotteryError(f"Expected an array of numbers for {name}. Received: Python objects")
    writer = np.savez_compressed if compress else np.savez
    atomic.write(path, lambda file: writer(file, **arrays))
    return digest(arrays)


def load(path: Path, expected_digest: str | None = None, expected_file: str | None = None) -> Arrays:
    """Read all arrays of an npz file, checking digests if they are given.

    The container is checked before any of its contents is read: what NumPy makes of a damaged header isn't
    asked.

    Args:
        path: of the file.
        expected_digest: of its arrays, as `digest` gives it.
        expected_file: sha256 of its bytes.

    Raises:
        LotteryError: missing, not an npz, truncated, holding pickles, far larger than it is, or changed
            since it was written.
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
    except Exception as error:  # what Python's parsers raise on junk is of many kinds
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
            raise ValueError(f"{len(content):,} bytes that would be {size:,}")
        found = {}
        for member in members:
            if not member.filename.endswith(".npy"):
                raise ValueError(f"{member.filename!r:.60} in it")
            with archive.open(member) as file:  # zipfile checks each part's checksum at its end
                part = file.read()
            found[member.filename.removesuffix(".npy")] = np.lib.format.read_array(
                io.BytesIO(part), allow_pickle=False, max_header_size=10_000
            )
    return found


def load_mapped(path: Path) -> np.ndarray:
    """Return the array of an npy file, mapped into memory: read where and when it is used.

    Raises:
        LotteryError: missing, not an npy, truncated or holding pickles.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an npz archive")
    except FileNotFoundError as error:
        raise LotteryError(f"Expected an npy file. Received: {path}, which doesn't exist.") from error
    except Exception as error:  # what Python's parsers raise on junk is of many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LotteryError(f"Expected an npy file of a plain array. Received: {path} ({reason}).") from error
    return array


def save_sealed(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays together with their digest, which `load_sealed` checks."""
    value = digest(arrays)
    save(path, {**arrays, _SEAL: np.array(value)})
    return value


def load_sealed(path: Path, expected_digest: str | None = None, expected_file: str | None = None) -> Arrays:
    """Read arrays that `save_sealed` wrote, with these digests if they are given. Args: as of `load`.

    Raises:
        LotteryError: as `load`; also if they aren't as they were written.
    """
    found = load(path, expected_file=expected_file)
    seal = found.pop(_SEAL, None)
    if seal is None or digest(found) != str(seal) or str(seal) != (expected_digest or str(seal)):
        raise LotteryError(_changed(path))
    return found


def _changed(path: Path) -> str:
    return f"Expected {path} as it was written. Received: other contents (digest differs)."
