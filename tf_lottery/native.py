"""Keeping what native libraries print when they start off the screen."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard what the process writes to standard error.

    TensorFlow's native code writes there before it reads its own log level. Exceptions are raised as usual.
    """
    sys.stderr.flush()
    original, null_device = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
        os.close(null_device)
