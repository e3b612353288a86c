"""Runs that failed for cause: a training that diverges, memory that doesn't suffice.

They sink no study: what doesn't depend on them goes on. They aren't trained again unless
that is asked for, since the same run fails the same way.
"""

import json
import time
import traceback
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from tf_lottery import atomic
from tf_lottery.config import Strict
from tf_lottery.method.spec import RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.store.environment import environment


class Failure(Strict):
    """Why a run failed."""

    model_config = ConfigDict(strict=False, extra="ignore")

    spec: RunSpec
    reason: str
    """One line."""
    trace: str = ""
    """Of an exception, for developers."""
    when: str
    environment: dict[str, str]

    def describe(self) -> str:
        """Return which run failed, and why, in one line."""
        return f"{self.spec.describe()} failed: {self.reason}"


def fail(paths: StudyPaths, spec: RunSpec, cause: Exception | str) -> Failure:
    """Record that a run failed; arguments as of `describe`."""
    failure = describe(spec, cause)
    atomic.write_json(paths.run(spec.key).failed, failure.model_dump(mode="json"))
    return failure


def describe(spec: RunSpec, cause: Exception | str) -> Failure:
    """Return why a run failed.

    Args:
        spec: of the run.
        cause: an exception, or a line.
    """
    reason, trace = cause, ""
    if isinstance(cause, Exception):
        reason = " ".join(str(cause).split())[:1000] or type(cause).__name__
        trace = "".join(traceback.format_exception(cause))
        if not reason.startswith("Expected "):  # not one of ours, which say it all
            reason = f"{type(cause).__name__}: {reason}"
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    return Failure(spec=spec, reason=reason, trace=trace, when=when, environment=environment())


def find(paths: StudyPaths, key: str) -> Failure | None:
    """Return why a run failed, None if it didn't. A note that can't be read is none."""
    try:
        return Failure.model_validate(json.loads(paths.run(key).failed.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def forgive(paths: StudyPaths, key: str) -> None:
    """Let a failed run be trained again."""
    Path(paths.run(key).failed).unlink(missing_ok=True)
