"""The exceptions whose messages are written for the user, not for a developer."""

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
