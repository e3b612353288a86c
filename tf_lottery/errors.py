"""The one exception whose message is written for the user, not for a developer."""


class LotteryError(ValueError):
    """Bad input or a state that the user can mend.

    The message is one line: what was expected, what was received, what to do. The
    command line prints it without a traceback and exits with 2.
    """
