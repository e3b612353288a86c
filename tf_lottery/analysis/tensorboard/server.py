"""TensorBoard's server, for this machine alone, opened on the page with the figures."""

import contextlib
import http.client
import io
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from urllib.parse import quote, urlsplit

from tf_lottery.errors import LotteryError
from tf_lottery.native import quiet_stderr

HOST = "127.0.0.1"
COLORS = 7
"""How many runs have a colour of their own in TensorBoard's charts."""
PAGES = {
    "custom_scalars": "?smoothing=0#custom_scalars&_smoothingWeight=0",  # Time Series reads the first one
    "hparams": "#hparams",
}
"""A page of TensorBoard -> what its address says of it."""
PATIENCE = 60
"""For how many seconds to wait until TensorBoard has read the files."""


@contextlib.contextmanager
def gathered(directories: Mapping[str, Path]) -> Iterator[Path]:
    """Yield a directory with links to others, which TensorBoard shows side by side. It is deleted afterwards.

    Args:
        directories: The names that they have in TensorBoard -> the directories.
    """
    with tempfile.TemporaryDirectory(prefix="tf_lottery_tensorboard_") as root:
        for name, directory in directories.items():
            (Path(root) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(root) / name).symlink_to(directory.resolve(), target_is_directory=True)
        yield Path(root)


def only(runs: Sequence[str]) -> str:
    """Return what is added to the page's address so that it shows these runs, and those below them, alone.

    Args:
        runs: The names of runs.
    """
    pattern = f"^({'|'.join(map(re.escape, runs))})(/|$)"
    return f"&regexInput={quote(pattern, safe='')}"


def start(logdir: Path, port: int | None = None, title: str = "", page: str = "custom_scalars") -> str:
    """Start TensorBoard in a thread of this process, and return the address of the page once it answers.

    It listens on the loopback interface only, so no other machine reaches it.

    Args:
        logdir: The directory that it shows.
        port: The port. Default: 6006, or the next that is free.
        title: The title of the browser's window.
        page: Which page the address leads to: a key of `PAGES`.

    Raises:
        LotteryError: If the port is taken, or may not be used.
    """
    # TensorBoard imports TensorFlow where it is installed, unless it is built without it, as this tells. It
    # would take seconds, and what is shown needs none.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(argv=[""], logdir=str(logdir), host=HOST, port=port, window_title=title)
    try:
        with quiet_stderr(), contextlib.redirect_stderr(io.StringIO()):
            address = board.launch()
    except program.TensorBoardServerException as error:
        raise LotteryError(f"{error.msg}. Name another --port, or none.") from error
    _wait(urlsplit(address).port, page)
    return address + PAGES[page]


def wait_for_ever() -> None:
    """Wait until a signal ends the process."""
    while True:
        time.sleep(3600)


def _wait(port: int, page: str) -> None:
    """Wait until the page has something to show, or patience ends: what is read later comes by itself."""
    path = "/data/plugin/custom_scalars/layout" if page == "custom_scalars" else "/data/runs"
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", path)
            if json.loads(connection.getresponse().read()):
                return
        time.sleep(0.1)
