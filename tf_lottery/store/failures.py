"""Runs that failed and will not be retried, because training diverged or memory ran out, for example.

The study's other runs go on, except those that depend on a failed one. A failed run is trained again
only when the user asks for it, since the same run fails in the same way.
"""

import json
import time
import traceback
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from tf_lottery import atomic
from tf_lottery.config import Strict
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.store.environment import environment


class Failure(Strict):
    """The reason why a run failed."""

    model_config = ConfigDict(strict=False, extra="ignore")

    spec: RunSpec
    reason: str
    """The reason, on one line."""
    trace: str = ""
    """The traceback, if the cause was an exception; for developers."""
    when: str
    environment: dict[str, str]

    def describe(self) -> str:
        """Return one line that says which run failed, and why."""
        return f"{self.spec.describe()} failed: {self.reason}"


def fail(paths: StudyPaths, spec: RunSpec, cause: Exception | str) -> Failure:
    """Write down in the run's directory that it failed. The arguments are those of `describe`."""
    failure = describe(spec, cause)
    atomic.write_json(paths.run(spec.key).failed, failure.model_dump(mode="json"))
    return failure


def describe(spec: RunSpec, cause: Exception | str) -> Failure:
    """Return a description of a failure.

    Args:
        spec: The run that failed.
        cause: The exception that ended it, or the reason in one line.
    """
    reason, trace = cause, ""
    if isinstance(cause, Exception):
        reason = " ".join(str(cause).split())[:1000] or type(cause).__name__
        trace = "".join(traceback.format_exception(cause))
        if not isinstance(cause, LotteryError):  # those say everything in their messages
            reason = f"{type(cause).__name__}: {reason}"
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    return Failure(spec=spec, reason=reason, trace=trace, when=when, environment=environment())


def find(paths: StudyPaths, key: str) -> Failure | None:
    """Return why a run failed; None if it didn't fail, or its `failed.json` can't be read."""
    try:
        return Failure.model_validate(json.loads(paths.run(key).failed.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def forgive(paths: StudyPaths, key: str) -> None:
    """Forget that a run failed, so that it is trained again."""
    Path(paths.run(key).failed).unlink(missing_ok=True)
