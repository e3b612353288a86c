"""Files and directories put in their places whole, replacing what is there at once; and their sizes."""

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
from tf_lottery.exports.contents import check_ours, check_report

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


def check(path: Path, force: bool) -> None:
    """Refuse to write where something is, unless asked to replace it; a directory only if all in it is ours.

    Raises:
        LotteryError: with what to do.
    """
    if path.name in ("", ".."):
        raise LotteryError(f"Expected a path with a name of its own. Received: {path}. Add one to it.")
    if os.path.lexists(path) and not force:
        raise LotteryError(
            f"Expected a path where nothing is. Received: {path}, which exists. Use --force (force=True) to "
            "replace it once the new export is verified."
        )
    if path.is_dir() and not path.is_symlink() and force:  # of a link to one the link goes
        check_ours(path)
    check_report(path)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a temporary directory on the same disk; it is gone afterwards, whatever happens."""
    make_directory(path.parent)
    directory = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def put(made: Path, path: Path) -> None:
    """Move what was made to its place; what is there is replaced in one step, and deleted.

    Args:
        made: a file or directory on the same disk.
        path: its place.
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
    else:  # a system without an exchange: there is a moment in which nothing is there
        aside = made.with_name(made.name + ".before")
        os.rename(path, aside)
        try:
            os.rename(made, path)
        except OSError:
            os.rename(aside, path)
            raise
        delete(aside)


def set_aside(made: Path, path: Path) -> Path:
    """Keep what was refused beside its place, where nothing is, for who wants to look; return where."""
    names = (f"{path.stem}.refused{number or ''}{path.suffix}" for number in itertools.count())
    aside = next(each for each in map(path.with_name, names) if not os.path.lexists(each))
    put(made, aside)
    return aside


def size(path: Path) -> int:
    """Bytes on the disk, of a directory all its files."""
    return sum(each.stat().st_size for each in _files(path))


def compressed(path: Path) -> int:
    """Bytes as a .tar.gz."""
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
    """Delete a file, a directory, a link; nothing if it isn't there."""
    if path.is_dir() and not path.is_symlink():  # of a link to one the link goes
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
