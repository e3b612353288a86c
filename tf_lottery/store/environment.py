"""What a record says of the machine and the packages that made it, and whether records agree."""

import os
import platform
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from tf_lottery.errors import StudyError
from tf_lottery.method.spec import Record

_PACKAGES = ("tf_lottery", "tensorflow", "keras", "numpy")
# Set when a training is compiled: what doesn't train can't know it.
_COMPILER = "XLA_FLAGS"


def environment() -> dict[str, str]:
    """Return package versions, Python, system, processor and XLA's flags."""
    return _fixed() | {_COMPILER: os.environ.get(_COMPILER, "")}


def _told(record: Record) -> dict[str, str]:
    return {**record.environment, "device": str(record.resolved.get("device", ""))}


@cache
def _fixed() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": platform.platform(), "processor": _processor()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def check_same(records: Iterable[Record], device: str | None = None) -> None:
    """Check that records come from the environment of this process.

    Args:
        records: of finished runs.
        device: that this process trains on, if it is known.

    Raises:
        StudyError: for the first that doesn't.
    """
    here = {name: value for name, value in environment().items() if name != _COMPILER}
    here |= {"device": device} if device else {}
    for record in records:
        told = _told(record)
        for name, value in here.items():
            if told.get(name) != value:
                raise StudyError(
                    f"Expected runs of one environment, as --strict-environment asks. Received: "
                    f"{record.spec.describe()} of {name} {told.get(name)}; here it is {value}. "
                    "Use --output for a study of its own, or leave --strict-environment out."
                )


def described(records: Iterable[Record]) -> list[str]:
    """Return lines that tell of records from different environments; none if all are from one."""
    told = [_told(record) for record in records]
    differing = [
        name
        for name in {name: None for each in told for name in each}
        if len({e.get(name) for e in told}) > 1
    ]
    if not differing:
        return []
    groups = Counter(", ".join(f"{name} {each.get(name)}" for name in differing) for each in told)
    lines = [f"The runs come from {len(groups)} environments, which can differ in the last bits:"]
    return lines + [f"  {count} with {what}" for what, count in groups.most_common()]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
