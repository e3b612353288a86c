"""Files of a Debian package, through the user's own clients and without root."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tf_lottery.data.fetch import SourceFailed

TIMEOUT_SECONDS = 300


def package_files(package: str, members: Mapping[str, str]) -> dict[str, bytes]:
    """Download a Debian package (`apt-get download`), unpack it aside and read files of it.

    Nothing is installed.

    Args:
        package: its name.
        members: name -> path that the package would install, without the leading slash.

    Returns:
        name -> content.

    Raises:
        SourceFailed: a client that is missing or fails, or a package without these files.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run(["apt-get", "download", package], folder)
        found = list(Path(folder).glob("*.deb"))
        if not found:
            raise SourceFailed(f"apt-get brought no {package}")
        unpacked = Path(folder) / "unpacked"
        _run(["dpkg-deb", "-x", str(found[0]), str(unpacked)], folder)
        try:
            return {name: (unpacked / path).read_bytes() for name, path in members.items()}
        except OSError as error:
            raise SourceFailed(f"the package isn't as expected ({error})") from error


def _run(command: list[str], folder: str) -> None:
    client = shutil.which(command[0])
    if client is None:
        raise SourceFailed(f"{command[0]} isn't on the path")
    try:
        run = subprocess.run(
            [client, *command[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"{command[0]} gave no answer in {TIMEOUT_SECONDS} s") from error
    except OSError as error:
        raise SourceFailed(f"{command[0]} didn't start ({error.strerror})") from error
    if run.returncode:
        reason = (run.stderr.strip() or run.stdout.strip() or "no reason given").splitlines()[-1]
        raise SourceFailed(f"{command[0]} failed ({reason[:160]})")
