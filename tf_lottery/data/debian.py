"""Reading files of a Debian package through the user's own clients, without root."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tf_lottery.data.fetch import SourceFailed

TIMEOUT_SECONDS = 300


def package_files(package: str, members: Mapping[str, str]) -> dict[str, bytes]:
    """Download a Debian package (`apt-get download`), unpack it in a temporary directory and read its files.

    Nothing is installed.

    Args:
        package: The name of the package.
        members: A mapping of name -> path that the package would install, without the leading slash.

    Returns:
        A mapping of name -> content.

    Raises:
        SourceFailed: If a client is missing or fails, or the package lacks one of the files.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run(["apt-get", "download", package], folder)
        packages = list(Path(folder).glob("*.deb"))
        if not packages:
            raise SourceFailed(f"apt-get downloaded no {package}")
        unpacked = Path(folder) / "unpacked"
        _run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], folder)
        try:
            return {name: (unpacked / path).read_bytes() for name, path in members.items()}
        except OSError as error:
            raise SourceFailed(f"the package's contents aren't as expected ({error})") from error


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
