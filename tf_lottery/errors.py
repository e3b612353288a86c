"""The exceptions whose messages are written for the user, not for a developer."""

import re
from pathlib import Path


class LotteryError(ValueError):
    """Bad input or a state that the user can mend.

    The message is one line: what was expected, what was received, what to do. The
    command line prints it without a traceback and exits with 2.

    Example:
        >>> import tf_lottery as lottery
        >>> try:
        ...     lottery.Execution(workers=0)
        ... except lottery.LotteryError as error:
        ...     print(error)
        Expected at least one worker. Received: 0
    """


def reason_of(error: BaseException, limit: int = 160) -> str:
    """Return what another library's error says, on one line, without colours and not cut within a word.

    Args:
        error: of another library.
        limit: characters at most.
    """
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split()) or type(error).__name__
    text = text.rpartition("Exception encountered: ")[
        2
    ]  # Keras says at length what it does, and last why not
    return text if len(text) <= limit else text[:limit].rpartition(" ")[0] + " ..."


class StudyError(LotteryError):
    """What ends a study, not just one of its runs: a full disk, another worker that is gone."""


class DamagedError(LotteryError):
    """A file of a finished run isn't there, or not as it was written.

    Attributes:
        key: of the run.
        path: of the file.
    """

    def __init__(self, message: str, key: str, path: Path):
        super().__init__(message)
        self.key, self.path = key, path
