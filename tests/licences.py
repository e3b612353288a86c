"""The table of docs/licences.md: every pinned package, its licence, and what needs it.

python -m tests.licences    # writes it anew; the row of a package that isn't installed stays as it was
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/licences.md"
BEGIN, END = "| package | licence, as it states it | needed by |\n|---|---|---|\n", "\n\n"
ITSELF = "tf_lottery"
SPDX = {  # classifiers and free texts that name one licence
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
}


def pinned() -> list[str]:
    """Return the packages of constraints.txt, in its order."""
    return re.findall(r"^([^#\s=]+)==", (ROOT / "constraints.txt").read_text(), re.M)


def installed(package: str) -> bool:
    """Return whether a package is installed here. Those of the extra `release` needn't be."""
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def licence(package: str) -> str:
    """Return a package's licence: its SPDX expression, or else its classifiers, or else its own words."""
    about = metadata.metadata(package)
    if expression := about.get("License-Expression"):
        return expression
    kinds = [
        line.split(" :: ")[-1] for line in about.get_all("Classifier") or () if line.startswith("License ::")
    ]
    kinds = [kind for kind in kinds if kind != "OSI Approved"]
    own = (about.get("License") or "").strip().split("\n")[0]
    words = kinds or ([own] if own and len(own) < 60 else [])
    return ", ".join(dict.fromkeys(SPDX.get(word, word) for word in words)) or "not stated"


def direct() -> dict[str, list[str]]:
    """Return package -> the extras that name it; those that everybody needs under `tf_lottery`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {ITSELF: project["dependencies"], **project["optional-dependencies"]}
    named: dict[str, list[str]] = {}
    for group, requirements in groups.items():
        for requirement in requirements:
            named.setdefault(canonicalize_name(Requirement(requirement).name), []).append(group)
    return named


def written() -> dict[str, str]:
    """Return package -> its row on the page."""
    table = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    return {line.split("|")[1].strip(): line for line in table.splitlines()}


def rows() -> dict[str, str]:
    """Return package -> its row, of those that are installed here."""
    named, found = direct(), {}
    for package in filter(installed, pinned()):
        groups = named.get(canonicalize_name(package), [])
        by = ", ".join(group if group == ITSELF else f"`{group}`" for group in groups) or "others"
        found[package] = f"| {package} | {licence(package)} | {by} |"
    return found


def main() -> None:
    """Write the table anew."""
    before, rest = PAGE.read_text().split(BEGIN)
    known = written() | rows()
    PAGE.write_text(
        before + BEGIN + "\n".join(known[name] for name in pinned()) + END + rest.split(END, 1)[1]
    )


if __name__ == "__main__":
    main()
