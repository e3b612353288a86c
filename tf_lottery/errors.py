"""The exceptions whose messages are written for the user, not for a developer."""

import re
from pathlib import Path


class LotteryError(ValueError):
    """Raised for bad input, or for a situation that the user can correct.

    The message is one line that says what is wrong and what to do. The command line prints it
    without a traceback and exits with 2.

    Examples:
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
        error: The exception that the other library raised.
        limit: The number of characters after which the text is cut.
    """
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split()) or type(error).__name__
    # Keras first describes at length what it was doing; the reason comes last.
    text = text.rpartition("Exception encountered: ")[2]
    return text if len(text) <= limit else text[:limit].rpartition(" ")[0] + " ..."


class StudyError(LotteryError):
    """Raised for what ends a study, not just one of its runs, such as a full disk or a lost worker."""


class DamagedError(LotteryError):
    """Raised when a file of a finished run is missing, or differs from what was written.

    Attributes:
        key: The key of the run.
        path: The path of the file.
    """

    def __init__(self, message: str, key: str, path: Path):
        super().__init__(message)
        self.key, self.path = key, path
