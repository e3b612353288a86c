"""What a record says of the machine and the packages that made it."""

import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("tf_lottery", "tensorflow", "keras", "numpy")


def environment() -> dict[str, str]:
    """Return package versions, Python, system, processor and XLA's flags."""
    found = {"python": platform.python_version(), "system": platform.platform(), "processor": _processor()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "")
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
