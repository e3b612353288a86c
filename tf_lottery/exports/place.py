"""Moving finished files and directories to their place in one step, and measuring their sizes."""

import contextlib
import ctypes
import io
import itertools
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tf_lottery.atomic import make_directory
from tf_lottery.errors import LotteryError
from tf_lottery.exports.contents import check_replaceable, check_report

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


def check(path: Path, force: bool) -> None:
    """Check that an export may be written to a path.

    Args:
        path: The path of the export.
        force: Whether an existing file may be replaced, and a directory that is an earlier export.

    Raises:
        LotteryError: If the path exists and may not be replaced, or if it has no name.
    """
    if path.name in ("", ".."):
        raise LotteryError(f"Expected a path that ends in a name. Received: {path}. Add a name to it.")
    if os.path.lexists(path) and not force:
        raise LotteryError(
            f"{path} already exists. Use --force (force=True) to replace it once the new export is verified."
        )
    if path.is_dir() and not path.is_symlink() and force:  # if it is a link, only the link is replaced
        check_replaceable(path)
    check_report(path)


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary directory on the disk of a path, and delete it afterwards, whatever happens."""
    make_directory(path.parent)
    directory = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def put(made: Path, path: Path) -> None:
    """Move a file or directory to its place. What exists there is replaced in one step, and deleted.

    Args:
        made: The file or directory to move, on the same disk.
        path: The place to move it to.
    """
    if not made.is_dir():
        made.chmod(0o644)
    if (path.is_symlink() or not path.is_dir()) and not made.is_dir():
        os.replace(made, path)
        return
    if made.is_dir():
        made.chmod(0o755)
    if not os.path.lexists(path):
        os.rename(made, path)
    elif _exchange(made, path):
        delete(made)
    else:  # without an atomic exchange, the path is missing for a moment
        previous = made.with_name(made.name + ".before")
        os.rename(path, previous)
        try:
            os.rename(made, path)
        except OSError:
            os.rename(previous, path)
            raise
        delete(previous)


def keep_refused(made: Path, path: Path) -> Path:
    """Keep a refused export for inspection, under a free name beside its place. Return its path."""
    names = (f"{path.stem}.refused{number or ''}{path.suffix}" for number in itertools.count())
    free = next(each for each in map(path.with_name, names) if not os.path.lexists(each))
    put(made, free)
    return free


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    return sum(each.stat().st_size for each in _files(path))


def compressed(path: Path) -> int:
    """Return the bytes that a file or directory takes as a .tar.gz."""
    counted = _Counter()
    with tarfile.open(fileobj=counted, mode="w:gz", compresslevel=6) as archive:
        for each in _files(path):
            archive.add(each, each.name)
    return counted.bytes


class _Counter(io.RawIOBase):
    bytes = 0

    def write(self, data) -> int:
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    return [path]


def _exchange(first: Path, second: Path) -> bool:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0


def delete(path: Path) -> None:
    """Delete a file, a directory or a link, if it exists."""
    if path.is_dir() and not path.is_symlink():  # of a link only the link is deleted
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
