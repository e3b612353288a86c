"""The machine and the packages that made a record, and whether records agree in them."""

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
# Set when a training is compiled, so a process that doesn't train can't know it.
_COMPILER = "XLA_FLAGS"


def environment() -> dict[str, str]:
    """Return this process's package versions, Python, system, processor and XLA flags."""
    return _fixed() | {_COMPILER: os.environ.get(_COMPILER, "")}


def _environment_of(record: Record) -> dict[str, str]:
    return {**record.environment, "device": str(record.resolved.get("device", ""))}


@cache
def _fixed() -> dict[str, str]:
    values = {"python": platform.python_version(), "system": platform.platform(), "processor": _processor()}
    for package in _PACKAGES:
        try:
            values[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            values[package] = "not installed"
    return values


def check_same(records: Iterable[Record], device: str | None = None) -> None:
    """Check that records come from the environment of this process.

    Args:
        records: Records of finished runs.
        device: The device that this process trains on, if it is known.

    Raises:
        StudyError: If a record comes from another environment.
    """
    here = {name: value for name, value in environment().items() if name != _COMPILER}
    here |= {"device": device} if device else {}
    for record in records:
        recorded = _environment_of(record)
        for name, value in here.items():
            if recorded.get(name) != value:
                raise StudyError(
                    f"{record.spec.describe()} was trained with {name} {recorded.get(name)}, but here it is "
                    f"{value}, and --strict-environment allows one environment only. "
                    "Use --output for a study of its own, or leave --strict-environment out."
                )


def described(records: Iterable[Record]) -> list[str]:
    """Return lines that say how records' environments differ; [] if all come from the same one."""
    environments = [_environment_of(record) for record in records]
    names = {name: None for each in environments for name in each}  # a dict keeps their order
    differing = [name for name in names if len({each.get(name) for each in environments}) > 1]
    if not differing:
        return []
    groups = Counter(", ".join(f"{name} {each.get(name)}" for name in differing) for each in environments)
    lines = [f"The runs come from {len(groups)} environments, which can differ in the last bits:"]
    return lines + [f"  {count} with {what}" for what, count in groups.most_common()]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
